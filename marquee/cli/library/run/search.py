"""Find pictures, and print them as a table, as JSON or by their ids."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from marquee.cli.exits import Exit, call_errors
from marquee.cli.library.options import FoundOutput
from marquee.cli.output import count, words
from marquee.cli.server import Server
from marquee.cli.table import Table, Text, print_line
from marquee.cli.terminal import print_json
from marquee.draw.text import clean
from marquee.enums import VerdictState
from marquee.library.enums import FaceState, PictureState, TimeSource
from marquee.library.requests import PictureQuery
from marquee.library.results import LibraryPicture

STATE_STYLES = {
    PictureState.RECOGNIZED: "green",
    PictureState.IMPORTED: "green",
    PictureState.PENDING: "dim",
    PictureState.PARTIAL: "yellow",
}
"""Of a picture's state; others are red."""
_SHOWN_LABELS = 4
_STRANGERS = (VerdictState.UNKNOWN, VerdictState.DISAGREE, VerdictState.IDENTIFIED)
_LEFT_OUT = (FaceState.IGNORED, FaceState.NOT_A_FACE)
_PAGE_SIZE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchArgs:
    """Validated arguments of `marquee library search`."""

    query: PictureQuery
    order: str
    limit: int
    """0: all."""
    collection: str
    server: Server
    timeout: float
    output: FoundOutput


def run(args: SearchArgs) -> Exit:
    """Print what is found. Raises typer.Exit."""
    with call_errors(args.output), args.server.connect_library() as client:
        size = min(args.limit + 1, _PAGE_SIZE) if args.limit else _PAGE_SIZE
        found = client.search(
            order=args.order, page_size=size, collection=args.collection, timeout=args.timeout, **args.query
        )
        if args.output is FoundOutput.TABLE:
            _print_table(found, args.limit)
        else:
            for picture in islice(found, args.limit or None):
                if args.output is FoundOutput.JSON:
                    print_json(picture.to_dict(), one_line=True)
                else:
                    sys.stdout.write(f"{clean(picture.picture_id)}\n")
    return Exit.OK


def taken(picture: LibraryPicture) -> str:
    """Return when the picture was taken: as its camera's clock said where its time zone is unknown, else here."""
    when = picture.taken_time
    if when is None:
        return ""
    is_local = picture.taken_time_source is TimeSource.EXIF_LOCAL
    return f"{when.astimezone(UTC if is_local else None):%Y-%m-%d %H:%M}"


def state_of(picture: LibraryPicture) -> str:
    """Return the picture's state in words, with why it was given up."""
    why = picture.job.status.message if picture.job and picture.state == "FAILED" else ""
    return words(picture.state) + (f": {why}" if why else "")


def exit_of_waiting(picture: LibraryPicture) -> Exit:
    """Return the exit code for a picture whose answers were waited for."""
    return Exit.FAILED if picture.state in {"PENDING", "FAILED"} else Exit.OK


def shown_time(when: datetime | None) -> str:
    """Return the time in this machine's time zone; empty for None."""
    return f"{when.astimezone():%Y-%m-%d %H:%M}" if when else ""


def _print_table(found: Iterator[LibraryPicture], limit: int) -> None:
    pictures = list(islice(found, limit or None))
    if not pictures:
        print_line("No picture fits.")
        return
    table = Table("!Picture", "Taken", "State", "People", "Labels", "File")
    for picture in pictures:
        state = Text(words(picture.state), STATE_STYLES.get(picture.state, "red"))
        cells = (clean(", ".join(_people(picture))), clean(_labels(picture)), clean(picture.file_name))
        table.add_row(clean(picture.picture_id), taken(picture), state, *cells)
    table.print()
    more = "" if next(found, None) is None else ", and more: --limit 0 shows all"
    print_line(Text(f"{count(len(pictures), 'picture')}{more}", "dim"))


def _people(picture: LibraryPicture) -> Sequence[str]:
    """Return who is known, then how many others there are."""
    named = [f"{face.display_name} {face.score:.2f}" for face in picture.faces if face.person_id]
    others = sum(
        face.verdict.state in _STRANGERS and not face.person_id and face.state not in _LEFT_OUT
        for face in picture.faces
    )
    return [*named, *([f"{others} unknown"] if others else [])]


def _labels(picture: LibraryPicture) -> str:
    more = len(picture.labels[_SHOWN_LABELS:])
    return ", ".join(label.name for label in picture.labels[:_SHOWN_LABELS]) + (f" +{more}" if more else "")
