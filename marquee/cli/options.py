"""Arguments and options of the command, with their help and checks."""

import re
from enum import StrEnum
from typing import Annotated, NamedTuple

import typer

from marquee.cli.draw.style import LabelPosition, parse_colors
from marquee.enums import Feature

_MAX_SECONDS = 86_400
_FEATURES = [feature.lower() for feature in Feature if feature is not Feature.UNSPECIFIED]


class Output(StrEnum):
    """Output format of recognitions."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class ListOutput(StrEnum):
    """Output format of lists."""

    TABLE = "table"
    JSON = "json"


class FaceBox(NamedTuple):
    """A face's box, in fractions of the upright picture."""

    left: float
    top: float
    width: float
    height: float


def _feature(text: str) -> str:
    if text.lower() not in _FEATURES:
        raise typer.BadParameter(f"{text!r} is not a feature; choose from {', '.join(_FEATURES)}.")
    return text.upper()


def _face_box(text: str) -> FaceBox:
    try:
        left, top, width, height = map(float, text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not LEFT,TOP,WIDTH,HEIGHT, such as 0.4,0.1,0.2,0.3.") from None
    return FaceBox(left, top, width, height)


def _address(text: str) -> str:
    """Return the address, or MARQUEE_ADDRESS if it is empty."""
    from marquee.channels import check_address, default_address  # noqa: PLC0415 - --help does not wait for gRPC
    from marquee.errors import InvalidAddress  # noqa: PLC0415 - likewise

    try:
        return check_address(text or default_address())
    except InvalidAddress as error:
        raise typer.BadParameter(error.message, param_hint="--address" if text else "MARQUEE_ADDRESS") from None


def _sha256(text: str) -> str:
    digits = text.lower()
    if not re.fullmatch("[0-9a-f]{64}", digits):
        raise typer.BadParameter("a SHA-256 has 64 hexadecimal digits.")
    return digits


def _positive(seconds: float) -> float:
    if not 0 < seconds <= _MAX_SECONDS:
        raise typer.BadParameter(f"must be greater than 0, and at most {_MAX_SECONDS}.")
    return seconds


Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE",
        show_default=False,
        help="Pictures: paths, - for standard input, s3://BUCKET/KEY, or folders with pictures in them, at any depth.",
    ),
]
FilesFrom = Annotated[
    str | None,
    typer.Option(
        metavar="LIST", show_default=False, help="File with one more FILE on each line; - for standard input."
    ),
]
Null = Annotated[bool, typer.Option("--null", "-0", help="Each FILE in LIST ends with a NUL, as from `find -print0`.")]
Pictures = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Number of pictures, instead of FILEs.", show_default=False)
]
FacesPerPicture = Annotated[
    int, typer.Option("--faces", min=0, metavar="N", help="Faces per picture: face_search charges for each.")
]
Address = Annotated[
    str,
    typer.Option(
        metavar="HOST:PORT",
        callback=_address,
        show_default=False,
        help="Address of the server; see `marquee --help`.",
    ),
]
Recognizers = Annotated[
    list[str], typer.Option("--recognizer", metavar="NAME", help="Call only this recognizer. Repeatable. Default: all.")
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
MaxLabels = Annotated[
    int | None, typer.Option(min=1, max=1000, help="Maximum number of labels per recognizer. Default: 10.")
]
MinScore = Annotated[float | None, typer.Option(min=0, max=1, help="Omit results with a lower score.")]
FaceBoxes = Annotated[
    list[FaceBox],
    typer.Option(
        "--face-box",
        metavar="L,T,W,H",
        parser=_face_box,
        help="Describe the face in this box instead of detecting faces: left, top, width and height in fractions of "
        "the upright picture. Repeatable.",
    ),
]
Timeout = Annotated[float, typer.Option(metavar="SECONDS", callback=_positive, help="Timeout per picture.")]
CallTimeout = Annotated[float, typer.Option(metavar="SECONDS", callback=_positive, help="Timeout.")]
EnrollTimeout = Annotated[
    float, typer.Option(metavar="SECONDS", callback=_positive, help="Timeout per call of up to 8 pictures.")
]
OutputFormat = Annotated[
    Output,
    typer.Option(
        "--output",
        "-o",
        help="json: one object per picture, on one line each if there are several. csv: one row per face.",
    ),
]
ListFormat = Annotated[ListOutput, typer.Option("--output", "-o", help="json: one list.")]
EnrollFormat = Annotated[
    ListOutput,
    typer.Option("--output", "-o", help="json: one object per person, on one line each if there are several."),
]
ObjectFormat = Annotated[ListOutput, typer.Option("--output", "-o", help="json: one object.")]
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
        help="Colors to draw with, e.g. identified=#2a2,unknown=orange,disagree=red.",
    ),
]
Position = Annotated[LabelPosition, typer.Option("--label-position", help="Position of names relative to boxes.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, max=64, help="Number of pictures to recognize in parallel.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit 1 if any recognizer failed.")]
Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE",
        show_default=False,
        help="Pictures of one person (paths, - for standard input, or s3://BUCKET/KEY), or folders of pictures, "
        "each named after its person: Grace_Hopper/ is Grace Hopper.",
    ),
]
Name = Annotated[
    str,
    typer.Option(
        metavar="NAME", show_default=False, help="Name of the person. Required for pictures without a folder."
    ),
]
PersonId = Annotated[
    str,
    typer.Option(
        metavar="ID",
        show_default=False,
        help="Permanent ID of the person: A-Z a-z 0-9 _ . : -. Default: made from the name, e.g. grace-hopper.",
    ),
]
PersonIdArgument = Annotated[str, typer.Argument(metavar="PERSON_ID", help="ID as listed by `marquee people`.")]
AllowSimilar = Annotated[
    bool, typer.Option("--allow-similar", help="Also enroll a face that matches another person's, e.g. a twin's.")
]
AllowDifferent = Annotated[
    bool,
    typer.Option(
        "--allow-different",
        help="Also enroll a face unlike those of the known person of that name, without --person-id.",
    ),
]
FaceIds = Annotated[
    list[str],
    typer.Option(
        "--face",
        metavar="ID",
        help="Remove only this face: an ID as shown by `marquee people show`, its beginning, or RECOGNIZER:ID. "
        "Repeatable.",
    ),
]
Sha256s = Annotated[
    list[str],
    typer.Option(
        "--sha256",
        metavar="DIGITS",
        parser=_sha256,
        help="Remove only the faces of the picture with this SHA-256, as from `sha256sum`. Repeatable.",
    ),
]
Collection = Annotated[
    str, typer.Option(metavar="NAME", show_default=False, help="Collection to use. Default: the operator's.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation. Required without a terminal.")]


def check_none_given(context: typer.Context) -> None:
    """Refuse options that stand before a subcommand, which would not see them. Raises BadParameter."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(f"give it after {context.invoked_subcommand}.", param_hint=parameter.opts[0])
