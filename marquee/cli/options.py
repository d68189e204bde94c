"""The options of the command, each with its check."""

from enum import StrEnum
from typing import Annotated

import typer

from marquee.cli.draw.style import LabelPosition, parse_colors
from marquee.enums import Feature

_FEATURES = [feature.lower() for feature in Feature if feature is not Feature.UNSPECIFIED]


class Output(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class ListOutput(StrEnum):
    """How a list is printed."""

    TABLE = "table"
    JSON = "json"


def _feature(text: str) -> str:
    if text.lower() not in _FEATURES:
        raise typer.BadParameter(f"{text!r} is none of: {', '.join(_FEATURES)}.")
    return text.upper()


def _positive(seconds: float) -> float:
    if seconds <= 0:
        raise typer.BadParameter("must be more than 0.")
    return seconds


Files = Annotated[
    list[str], typer.Argument(metavar="FILE", help="Pictures: paths, - for standard input, s3://BUCKET/KEY.")
]
OptionalFiles = Annotated[list[str], typer.Argument(metavar="[FILE]", help="Pictures, as for `marquee recognize`.")]
Pictures = Annotated[int | None, typer.Option(min=1, metavar="N", help="So many pictures, instead of FILEs.")]
FacesAPicture = Annotated[
    int, typer.Option("--faces", min=0, metavar="N", help="Faces in a picture: with face_search, each is paid for.")
]
Address = Annotated[str | None, typer.Option(metavar="HOST:PORT", help="The server; see `marquee --help`.")]
Recognizers = Annotated[
    list[str], typer.Option("--recognizer", metavar="NAME", help="Ask only this one. Repeatable. Default: all.")
]
Features = Annotated[
    list[str],
    typer.Option(
        "--feature",
        metavar="FEATURE",
        parser=_feature,
        help=f"What to find: {', '.join(_FEATURES)}. Repeatable. Default: celebrities and labels.",
    ),
]
MaxLabels = Annotated[int | None, typer.Option(min=1, max=1000, help="Most labels of a recognizer. Default: 10.")]
MinScore = Annotated[float | None, typer.Option(min=0, max=1, help="Leave out what has a lower score.")]
Timeout = Annotated[float, typer.Option(metavar="SECONDS", callback=_positive, help="How long to wait for a picture.")]
OutputFormat = Annotated[
    Output,
    typer.Option(
        "--output",
        "-o",
        help="json: one object a picture, one a line where there are several. csv: one row a face.",
    ),
]
Draw = Annotated[
    str | None,
    typer.Option(
        metavar="OUT",
        help="Draw boxes and names into OUT: a .png or .svg file, with {stem} in its name for several "
        "pictures, or a folder ending in / for PNGs.",
    ),
]
Colors = Annotated[
    dict[str, str] | None,
    typer.Option(
        metavar="STATE=COLOR,...",
        parser=parse_colors,
        help="Colors to draw with, such as identified=#2a2,unknown=orange,disagree=red.",
    ),
]
Position = Annotated[LabelPosition, typer.Option("--label-position", help="Where a drawn name stands.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, max=64, help="Pictures in work at once.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 1 also where a single recognizer failed.")]
Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE",
        show_default=False,
        help="Pictures of one person (paths, - for standard input, s3://BUCKET/KEY), or folders, each named after "
        "its person, with their pictures: Grace_Hopper/ is Grace Hopper.",
    ),
]
Name = Annotated[
    str, typer.Option(metavar="NAME", show_default=False, help="Who it is. Needed for pictures that lie in no folder.")
]
PersonId = Annotated[
    str,
    typer.Option(
        metavar="ID",
        show_default=False,
        help="Names the person for good: A-Z a-z 0-9 _ . : -. Default: made of the name, grace-hopper.",
    ),
]
AllowSimilar = Annotated[
    bool, typer.Option("--allow-similar", help="Enroll also a face that is taken for another person's: twins.")
]
Collection = Annotated[
    str, typer.Option(metavar="NAME", show_default=False, help="The collection. Default: the operator's.")
]
EnrollTimeout = Annotated[
    float, typer.Option(metavar="SECONDS", callback=_positive, help="How long to wait for a call of up to 8 pictures.")
]
PersonIdArgument = Annotated[str, typer.Argument(metavar="PERSON_ID", help="As `marquee people` lists it.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask. Needed away from a terminal.")]
CallTimeout = Annotated[float, typer.Option(metavar="SECONDS", callback=_positive, help="How long to wait.")]
ListFormat = Annotated[ListOutput, typer.Option("--output", "-o", help="json: one list.")]
EnrollFormat = Annotated[
    ListOutput,
    typer.Option("--output", "-o", help="json: one object a person, one a line where there are several."),
]
RemoveFormat = Annotated[ListOutput, typer.Option("--output", "-o", help="json: one object.")]
