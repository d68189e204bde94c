"""Arguments and options of the command, with their help and checks."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from marquee.draw.style import LabelPosition, parse_colors
from marquee.enums import Feature, Findings, Policy

_MAX_SECONDS = 86_400
_FEATURES = [feature.lower() for feature in Feature if feature is not Feature.UNSPECIFIED]
_POLICIES = [policy.lower() for policy in Policy if policy is not Policy.UNSPECIFIED]
SCOPES = ("recognize", "enroll", "admin", "relay", "library-read", "library-write", "people", "erase")
CALLER_NAME = re.compile(r"[A-Za-z0-9._~@:/+|%-]{1,255}")
_COLLECTION = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_PERIOD = re.compile(r"(?P<count>[1-9][0-9]{0,6})(?P<unit>[hd])")
_MAX_RATE = 1_000_000
_MIN_CALLS = 0.00001


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


def _policy(text: str) -> str:
    name = text.lower().replace("-", "_")
    if name not in _POLICIES:
        raise typer.BadParameter(f"{text!r} is not a policy; choose from {', '.join(_POLICIES)}.")
    return name.upper()


def parse_face_box(text: str) -> FaceBox:
    """Return the box. Raises BadParameter."""
    try:
        left, top, width, height = map(float, text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not LEFT,TOP,WIDTH,HEIGHT, such as 0.4,0.1,0.2,0.3.") from None
    return FaceBox(left, top, width, height)


def _sha256(text: str) -> str:
    digits = text.lower()
    if not re.fullmatch("[0-9a-f]{64}", digits):
        raise typer.BadParameter("a SHA-256 has 64 hexadecimal digits.")
    return digits


def _caller(name: str) -> str:
    if name == "anonymous" or not CALLER_NAME.fullmatch(name):
        raise typer.BadParameter(
            "a name has 1 to 255 characters of A-Z a-z 0-9 . _ ~ @ : / + | % -, and is not anonymous."
        )
    return name


def _scopes(texts: list[str]) -> list[str]:
    names = _parts(texts)
    if unknown := [name for name in names if name not in SCOPES]:
        raise typer.BadParameter(f"{unknown[0]!r} is not a scope; choose from {', '.join(SCOPES)}.")
    return names


def _collections(texts: list[str]) -> list[str]:
    names = _parts(texts)
    if any(not _COLLECTION.fullmatch(name) for name in names):
        raise typer.BadParameter("a collection has 1 to 128 characters of A-Z a-z 0-9 _ . -.")
    return names


def _parts(texts: list[str]) -> list[str]:
    """Return the names in lists with commas, each once."""
    return list(dict.fromkeys(name.strip() for text in texts for name in text.split(",")))


def _expiry(text: str) -> datetime:
    """Return the time in UTC: so much from now on, or ISO 8601, whose dates mean their first moment."""
    now = datetime.now(UTC)
    try:
        if period := _PERIOD.fullmatch(text):
            count = int(period["count"])
            return now + (timedelta(days=count) if period["unit"] == "d" else timedelta(hours=count))
        time = datetime.fromisoformat(text)
        time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is not 90d, 12h, or a date such as 2027-03-01.") from None
    if time <= now:
        raise typer.BadParameter(f"{text} is past.")
    return time


def _rate(calls: float | None) -> float | None:
    if calls is not None and not _MIN_CALLS <= calls <= _MAX_RATE:
        raise typer.BadParameter(f"must be greater than 0: {_MIN_CALLS:f} at least, and at most {_MAX_RATE}.")
    return calls


def parse_dollars(text: str) -> Decimal:
    """Return a number of dollars with at most 6 decimals. Raises BadParameter."""
    try:
        usd = Decimal(text)
        if 0 <= usd <= _MAX_RATE and usd == round(usd, 6):
            return usd
    except InvalidOperation:
        pass
    raise typer.BadParameter(f"{text!r} is no number of dollars such as 2.50: at most {_MAX_RATE}, with 6 decimals.")


def _positive(seconds: float) -> float:
    if not 0 < seconds <= _MAX_SECONDS:
        raise typer.BadParameter(f"must be greater than 0, and at most {_MAX_SECONDS}.")
    return seconds


def _colors(text: str) -> dict[str, str]:
    try:
        return parse_colors(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


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
PolicyOption = Annotated[
    str,
    typer.Option(
        "--policy",
        metavar="POLICY",
        parser=_policy,
        help="all: call all recognizers and wait for all. first_confident: call all, and wait until the answer is "
        "sure. cascade: call one after the other until it is.",
    ),
]
Required = Annotated[
    list[str],
    typer.Option(
        "--require",
        metavar="NAME",
        help="Fail without the result of this recognizer, and call it whatever the policy. Repeatable.",
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
        parser=parse_face_box,
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
        help="json: one object per picture, on one line each if there are several. csv: rows, see --rows.",
    ),
]
ListFormat = Annotated[ListOutput, typer.Option("--output", "-o", help="json: one list.")]
EnrollFormat = Annotated[
    ListOutput,
    typer.Option("--output", "-o", help="json: one object per person, on one line each if there are several."),
]
ObjectFormat = Annotated[ListOutput, typer.Option("--output", "-o", help="json: one object.")]
Rows = Annotated[
    Findings | None,
    typer.Option(
        help="Rows of csv: one per face (default); one per box of a label, or label without one; or both in one file.",
        show_default=False,
    ),
]
Boxes = Annotated[
    Findings | None,
    typer.Option(help="What to draw. Default: faces, or labels if there is no face.", show_default=False),
]
Draw = Annotated[
    str | None,
    typer.Option(
        metavar="OUT",
        help="Draw boxes and names into a copy, OUT: a .png or .svg file, with {stem} in its name for several "
        "pictures, or a folder ending in / for PNGs. Pictures in S3 are fetched with your own AWS credentials.",
    ),
]
Colors = Annotated[
    dict[str, str] | None,
    typer.Option(
        metavar="STATE=COLOR,...",
        parser=_colors,
        help="Colors to draw with, e.g. identified=#2a2,unknown=orange,disagree=red,label=blue.",
    ),
]
Position = Annotated[
    LabelPosition | None,
    typer.Option("--label-position", help="Position of names relative to boxes. Default: top.", show_default=False),
]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, max=64, help="Number of pictures to recognize in parallel.")]
Batch = Annotated[
    bool | None,
    typer.Option(
        "--batch/--no-batch",
        show_default=False,
        help="Let others' calls go first, and wait for a place on a full server up to 10 minutes per picture. "
        "Default: for several pictures.",
    ),
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Ask anew, even if an answer is remembered.")]
Timings = Annotated[bool, typer.Option("--timings", help="Show where the time went.")]
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
CallerName = Annotated[
    str, typer.Argument(metavar="NAME", callback=_caller, help="Name of the caller, as logs will show it.")
]
Scopes = Annotated[
    list[str],
    typer.Option(
        "--scope", metavar="SCOPE", callback=_scopes, help=f"What the caller may do: {', '.join(SCOPES)}. Repeatable."
    ),
]
Collections = Annotated[
    list[str],
    typer.Option(
        "--collection",
        metavar="NAME",
        callback=_collections,
        help="Collection that the caller may use. Repeatable. Default: all.",
    ),
]
Expiry = Annotated[
    datetime | None,
    typer.Option(
        "--expires",
        metavar="90d|DATE",
        parser=_expiry,
        help="When the token expires: days (90d) or hours (12h) from now, or a date, in UTC. Default: never.",
    ),
]
CallRate = Annotated[
    float | None,
    typer.Option("--calls", metavar="N", callback=_rate, help="Calls a second. Default: no limit."),
]
DailyDollars = Annotated[
    Decimal | None,
    typer.Option(
        "--usd",
        metavar="N",
        parser=parse_dollars,
        help="Dollars that the caller may spend a day. Default: no limit of its own.",
    ),
]
Register = Annotated[
    Path | None,
    typer.Option(
        "--register",
        metavar="FILE",
        help="Add the line to this file, as MARQUEE_CALLERS names it, instead of printing it. A new file is for its "
        "owner alone (0600).",
    ),
]
TokenStdin = Annotated[
    bool, typer.Option("--token-stdin", help="Make the line for the token on standard input, not for a new one.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation. Required without a terminal.")]


def check_none_given(context: typer.Context) -> None:
    """Refuse options that stand before a subcommand, which would not see them. Raises BadParameter."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(f"give it after {context.invoked_subcommand}.", param_hint=parameter.opts[0])
