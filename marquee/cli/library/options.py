"""Arguments and options of the library's subcommands."""

from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from marquee.cli.options import ListOutput, parse_dollars
from marquee.enums import VerdictState
from marquee.library.enums import ExportFormat, JobState, PictureOrder, PictureState

if TYPE_CHECKING:
    from marquee.library.requests import PictureQuery

_FIRST = {len("2024"): "-01-01", len("2024-02"): "-01"}
"""What makes a year's or a month's first day of it, by its length."""


class FoundOutput(StrEnum):
    """Output format of found pictures."""

    TABLE = "table"
    JSON = "json"
    IDS = "ids"


def _names(kind: type[StrEnum]) -> list[str]:
    return [name.lower().replace("_", "-") for name in kind if name != "UNSPECIFIED"]


def member(kind: type[StrEnum]) -> Any:
    """Return what parses the name of a member, in any case, with - for _."""

    def parse(text: str) -> str:
        name = text.upper().replace("-", "_")
        if name == "UNSPECIFIED" or name not in kind.__members__:
            raise typer.BadParameter(f"{text!r} is none of {', '.join(_names(kind))}.")
        return name

    return parse


def parse_time(text: str) -> datetime:
    """Return the first moment of a date, a month or a year, or a time. Without an offset it is in UTC."""
    try:
        when = datetime.fromisoformat(text + _FIRST.get(len(text), ""))
        return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is not a year, a month, a date or a time such as 2024, 2024-02, 2024-02-29, "
            "2024-02-29T18:30 or 2024-02-29T18:30+01:00."
        ) from None


def _check_span(option: str, least: Any, most: Any, *, inclusive: bool = True) -> None:
    if least is None or most is None or least < most or (inclusive and least == most):
        return
    raise typer.BadParameter("nothing can fit: the span ends before it begins.", param_hint=option)


PictureIds = Annotated[
    list[str],
    typer.Argument(metavar="PICTURE_ID", show_default=False, help="IDs as shown by `marquee library search`."),
]
PictureId = Annotated[str, typer.Argument(metavar="PICTURE_ID", help="ID as shown by `marquee library search`.")]
IdsFrom = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        show_default=False,
        help="File with one more PICTURE_ID on each line, as from `search -o ids`; - for standard input.",
    ),
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until the pictures are recognized, or given up.")]
AddTimeout = Annotated[float, typer.Option(metavar="SECONDS", min=0.001, max=86_400, help="Timeout per picture.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and what it may cost; change nothing.")
]
AddJobs = Annotated[int, typer.Option("--jobs", "-j", min=1, max=64, help="Number of pictures to send in parallel.")]
Categories = Annotated[
    list[str],
    typer.Option("--category", metavar="NAME", help="Put the pictures into this category; it is made. Repeatable."),
]
FoundFormat = Annotated[
    FoundOutput,
    typer.Option("--output", "-o", help="json: one object per picture, on one line each. ids: one ID per line."),
]
LinesFormat = Annotated[ListOutput, typer.Option("--output", "-o", help="json: one object on each line.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=0, metavar="N", help="Show at most so many; 0: all.")]
Order = Annotated[
    str,
    typer.Option(
        "--order", metavar="ORDER", parser=member(PictureOrder), help=f"Order: {', '.join(_names(PictureOrder))}."
    ),
]
Save = Annotated[
    str | None,
    typer.Option(metavar="FILE", show_default=False, help="Write the picture's file there; - for standard output."),
]
DrawOne = Annotated[
    str | None,
    typer.Option(
        "--draw", metavar="OUT", show_default=False, help="Draw boxes and names into a copy: a .png or .svg file."
    ),
]
ExportFile = Annotated[
    str,
    typer.Option(
        "--output", "-o", metavar="FILE", help="File to write; it appears once it is whole. -: standard output."
    ),
]
ExportForm = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        parser=member(ExportFormat),
        show_default=False,
        help=f"Format: {', '.join(_names(ExportFormat))}. Default: csv for a FILE that ends in .csv, else json-lines.",
    ),
]
JobStates = Annotated[
    str | None,
    typer.Option(
        "--state",
        metavar="STATE",
        parser=member(JobState),
        show_default=False,
        help=f"Only jobs in this state: {', '.join(_names(JobState))}. Default: any.",
    ),
]
JobIds = Annotated[
    list[str],
    typer.Argument(
        metavar="JOB_ID",
        show_default=False,
        help="IDs as shown by `marquee library jobs`. Default: all that were given up.",
    ),
]
CategoryName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the category.")]
RuleLabels = Annotated[
    list[str],
    typer.Option("--label", metavar="NAME", help="Pictures with this label, or one below it, are in it. Repeatable."),
]
RulePeople = Annotated[
    list[str],
    typer.Option("--person", metavar="NAME", help="Pictures in which this person is identified are. Repeatable."),
]
RuleScore = Annotated[float, typer.Option("--min-score", min=0, max=1, help="Least score for these rules.")]
Rename = Annotated[str, typer.Option(metavar="NAME", show_default=False, help="Give the category this name instead.")]
AddTo = Annotated[
    list[str],
    typer.Option("--add", metavar="NAME", help="Put the pictures into this category; it is made. Repeatable."),
]
RemoveFrom = Annotated[
    list[str], typer.Option("--remove", metavar="NAME", help="Take the pictures out of this category. Repeatable.")
]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Wait for more events; Ctrl-C ends it.")]
Cursor = Annotated[
    str,
    typer.Option(
        metavar="CURSOR", show_default=False, help="Go on where an earlier command said. Default: at the first."
    ),
]
TableUrl = Annotated[str, typer.Argument(metavar="dynamodb://TABLE", help="Table of the Lambda function.")]
Fetch = Annotated[
    bool, typer.Option("--fetch", help="Have the objects fetched and recognized, too; this may cost money.")
]
ProgressFile = Annotated[
    str | None,
    typer.Option(
        "--progress",
        metavar="FILE",
        show_default=False,
        help="Where to keep how far the import is, to go on there. Default: .marquee-import-TABLE.json.",
    ),
]
TableRecognizer = Annotated[
    str, typer.Option("--recognizer", metavar="NAME", help="Name of the recognizer whose answers these are.")
]


def query(  # noqa: PLR0913 - each is an option
    *,
    person: Annotated[
        list[str],
        typer.Option(metavar="NAME", help="Named in the picture: name or person_id. Repeatable: all of them."),
    ] = [],  # noqa: B006 - typer reads [] as a default
    any_person: Annotated[
        list[str], typer.Option(metavar="NAME", help="At least one of these is named. Repeatable.")
    ] = [],  # noqa: B006
    no_person: Annotated[list[str], typer.Option(metavar="NAME", help="Not named. Repeatable.")] = [],  # noqa: B006
    only_person: Annotated[
        list[str], typer.Option(metavar="NAME", help="Somebody is named, and nobody but these. Repeatable.")
    ] = [],  # noqa: B006
    min_people: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Named people, at least.", show_default=False)
    ] = None,
    max_people: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Named people, at most.", show_default=False)
    ] = None,
    label: Annotated[
        list[str], typer.Option(metavar="NAME", help="Shown: a label, or one of its parents. Repeatable: all of them.")
    ] = [],  # noqa: B006
    any_label: Annotated[list[str], typer.Option(metavar="NAME", help="At least one of these. Repeatable.")] = [],  # noqa: B006
    no_label: Annotated[list[str], typer.Option(metavar="NAME", help="Not shown. Repeatable.")] = [],  # noqa: B006
    category: Annotated[
        list[str], typer.Option(metavar="NAME", help="In this category: name or ID. Repeatable: in all of them.")
    ] = [],  # noqa: B006
    any_category: Annotated[list[str], typer.Option(metavar="NAME", help="In at least one of these. Repeatable.")] = [],  # noqa: B006
    no_category: Annotated[list[str], typer.Option(metavar="NAME", help="Not in this one. Repeatable.")] = [],  # noqa: B006
    recognizer: Annotated[
        list[str], typer.Option(metavar="NAME", help="Answered by this recognizer. Repeatable: by all of them.")
    ] = [],  # noqa: B006
    any_recognizer: Annotated[
        list[str], typer.Option(metavar="NAME", help="Answered by at least one of these. Repeatable.")
    ] = [],  # noqa: B006
    no_recognizer: Annotated[
        list[str], typer.Option(metavar="NAME", help="Not answered by this one. Repeatable.")
    ] = [],  # noqa: B006
    verdict: Annotated[
        list[str],
        typer.Option(
            metavar="STATE",
            parser=member(VerdictState),
            help=f"A face is {', '.join(_names(VerdictState))}. Repeatable: one is enough.",
        ),
    ] = [],  # noqa: B006
    state: Annotated[
        list[str],
        typer.Option(
            metavar="STATE",
            parser=member(PictureState),
            help=f"The picture is {', '.join(_names(PictureState))}. Repeatable: one is enough.",
        ),
    ] = [],  # noqa: B006
    taken_from: Annotated[
        datetime | None,
        typer.Option(
            metavar="TIME", parser=parse_time, help="Taken then or later: 2024, 2024-02-29, 2024-02-29T18:30, in UTC."
        ),
    ] = None,
    taken_before: Annotated[
        datetime | None, typer.Option(metavar="TIME", parser=parse_time, help="Taken before that.")
    ] = None,
    added_from: Annotated[
        datetime | None, typer.Option(metavar="TIME", parser=parse_time, help="Added then or later.")
    ] = None,
    added_before: Annotated[
        datetime | None, typer.Option(metavar="TIME", parser=parse_time, help="Added before that.")
    ] = None,
    min_score: Annotated[
        float | None, typer.Option(min=0, max=1, metavar="S", help="Score of the surest named face, at least.")
    ] = None,
    max_score: Annotated[float | None, typer.Option(min=0, max=1, metavar="S", help="… at most.")] = None,
    text: Annotated[
        str,
        typer.Option(
            metavar="WORDS", help="Words, or their beginnings, of names, labels, texts, categories, file names."
        ),
    ] = "",
    file_name: Annotated[str, typer.Option(metavar="NAME", help="Beginning of the file's name.")] = "",
    min_cost: Annotated[
        Decimal | None,
        typer.Option(metavar="USD", parser=parse_dollars, help="Dollars that its answers cost, at least."),
    ] = None,
    max_cost: Annotated[Decimal | None, typer.Option(metavar="USD", parser=parse_dollars, help="… at most.")] = None,
    trash: Annotated[bool, typer.Option("--trash", help="Pictures in the trash instead of all others.")] = False,
    sha256: Annotated[
        str, typer.Option(metavar="DIGITS", help="The file with this SHA-256, as from `sha256sum`.")
    ] = "",
    place: Annotated[
        str, typer.Option(metavar="PREFIX", help="Found at a place that begins so: s3://BUCKET/FOLDER/, or a path.")
    ] = "",
) -> "PictureQuery":
    """Return what to find. Raises BadParameter for a span that has nothing in it."""
    _check_span("--max-people", min_people, max_people)
    _check_span("--taken-before", taken_from, taken_before, inclusive=False)
    _check_span("--added-before", added_from, added_before, inclusive=False)
    _check_span("--max-score", min_score, max_score)
    _check_span("--max-cost", min_cost, max_cost)
    from marquee.library.requests import PeopleFilter, TermFilter  # noqa: PLC0415 - --help does not wait for gRPC

    return {
        "people": PeopleFilter(person, any_person, no_person, only_person, min_people, max_people),
        "labels": TermFilter(label, any_label, no_label),
        "categories": TermFilter(category, any_category, no_category),
        "recognizers": TermFilter(recognizer, any_recognizer, no_recognizer),
        "verdict_states": verdict,
        "states": state,
        "taken": (taken_from, taken_before),
        "added": (added_from, added_before),
        "min_score": min_score,
        "max_score": max_score,
        "text": text,
        "file_name": file_name,
        "min_cost_micro_usd": None if min_cost is None else int(min_cost * 1_000_000),
        "max_cost_micro_usd": None if max_cost is None else int(max_cost * 1_000_000),
        "in_trash": trash,
        "sha256": sha256.lower(),
        "place_prefix": place,
    }
