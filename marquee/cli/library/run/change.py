"""Change pictures one after another, by their ids: delete, undelete, erase, categorize, recognize."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from marquee.cli.exits import Exit, call_errors, exit_of
from marquee.cli.inputs import listed
from marquee.cli.library.run.search import exit_of_waiting, shown_time, state_of
from marquee.cli.options import ListOutput
from marquee.cli.output import count, dollars, error_dict, message_of
from marquee.cli.server import Server
from marquee.cli.table import Text, print_line
from marquee.cli.terminal import Progress, print_error, print_json
from marquee.draw.text import clean
from marquee.errors import FailedPrecondition, InvalidRequest, MarqueeError, NotFound
from marquee.library.client import LibraryClient
from marquee.library.results import ErasureReceipt, LibraryPicture
from marquee.records import Record

_OWN = (FailedPrecondition, NotFound)
"""Errors that are about one picture; others would be the next one's, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeArgs:
    """Validated arguments of a command that changes pictures."""

    picture_ids: Sequence[str]
    collection: str
    server: Server
    timeout: float
    output: ListOutput


def _done(_: Any) -> Exit:
    return Exit.OK


def ids_of(picture_ids: Sequence[str], list_file: str | None) -> list[str]:
    """Return the ids, and those in the list, each once. Raises BadParameter if there is none."""
    names = (name.strip() for name in listed(list_file, hint="--ids-from")) if list_file is not None else ()
    ids = list(dict.fromkeys([*picture_ids, *names]))
    if not ids:
        raise typer.BadParameter("there is none: give IDs, or --ids-from with them.", param_hint="PICTURE_ID")
    return ids


def delete(args: ChangeArgs) -> Exit:
    """Put the pictures into the trash."""
    return _change_each(args, lambda client, picture_id, own: client.delete(picture_id, **own), _deleted)


def undelete(args: ChangeArgs) -> Exit:
    """Take the pictures out of the trash."""
    return _change_each(args, lambda client, picture_id, own: client.undelete(picture_id, **own), _state)


def categorize(args: ChangeArgs, add: Sequence[str], remove: Sequence[str]) -> Exit:
    """Put the pictures into categories, and take them out of others."""
    return _change_each(
        args,
        lambda client, picture_id, own: client.categorize(picture_id, add=add, remove=remove, **own),
        lambda picture: ", ".join(one.name for one in picture.categories) or "in no category",
    )


def recognize(args: ChangeArgs, options: Any, *, dry_run: bool) -> Exit:
    """Have the pictures recognized again, or say what their answers have cost so far."""
    if not dry_run:
        return _change_each(
            args,
            lambda client, picture_id, own: client.recognize(picture_id, **own, **options),
            _state,
            exit_of_waiting if options["wait"] else _done,
        )
    costs: list[int] = []

    def look(client: LibraryClient, picture_id: str, own: Any) -> LibraryPicture:
        picture = client.get(picture_id, **own)
        costs.append(picture.cost_micro_usd)
        return picture

    worst = _change_each(args, look, lambda picture: f"has cost {dollars(picture.cost_micro_usd)} so far")
    if args.output is ListOutput.TABLE:
        print_line(
            Text(f"{count(len(costs), 'picture')} would be recognized again; ", "bold"),
            f"what is known of them has cost {dollars(sum(costs))} so far. Nothing was changed.",
        )
    return worst


def erase(args: ChangeArgs, *, confirmed: bool) -> Exit:
    """Ask, erase the pictures, and print the receipts. Raises BadParameter without a terminal to ask at."""
    if not confirmed and not sys.stdin.isatty():
        raise typer.BadParameter("cannot ask for confirmation without a terminal: pass --yes.", param_hint="--yes")
    question = f"Erase {count(len(args.picture_ids), 'picture')} for ever, with all that is known of them?"
    if not confirmed and not typer.confirm(question, err=True):
        return Exit.FAILED
    return _change_each(args, lambda client, picture_id, own: client.erase(picture_id, **own), _print_receipt)


def _change_each(
    args: ChangeArgs,
    change: Callable[[LibraryClient, str, Any], Record],
    shown: Callable[[Any], str | None],
    judged: Callable[[Any], Exit] = _done,
) -> Exit:
    """Change one picture after another, and print each. Returns the worst exit code. Raises typer.Exit.

    `shown` returns what to print behind a picture's id, or prints by itself; `judged` returns a result's exit code.
    """
    worst = Exit.OK
    own = {"collection": args.collection, "timeout": args.timeout}
    many = len(args.picture_ids) > 1
    with call_errors(args.output), args.server.connect_library() as client, Progress(len(args.picture_ids)) as progress:
        for picture_id in args.picture_ids:
            try:
                result = change(client, picture_id, own)
            except (*_OWN, InvalidRequest) as error:
                if not isinstance(error, _OWN) and not error.metadata.get("field") == "picture_id":
                    raise
                progress.advance()
                with progress.paused():
                    _print_failure(args, picture_id, error, one_line=many)
                worst = max(worst, exit_of(error))
                continue
            worst = max(worst, judged(result))
            progress.advance()
            with progress.paused():
                _print(args, picture_id, result, shown, one_line=many)
    return worst


def _print(
    args: ChangeArgs, picture_id: str, result: Record, shown: Callable[[Any], str | None], *, one_line: bool
) -> None:
    if args.output is ListOutput.JSON:
        print_json(result.to_dict(), one_line=one_line)
    elif (text := shown(result)) is not None:
        print_line(f"{clean(picture_id)}  {clean(text)}")


def _print_failure(args: ChangeArgs, picture_id: str, error: MarqueeError, *, one_line: bool) -> None:
    if args.output is ListOutput.JSON:
        print_json({"picture_id": picture_id, "error": error_dict(error)}, one_line=one_line)
    print_error(picture_id, message_of(error))


def _state(picture: LibraryPicture) -> str:
    names = ", ".join(picture.people)
    return state_of(picture) + (f": {names}" if names else "")


def _deleted(picture: LibraryPicture) -> str:
    until = f", erased on {shown_time(picture.expire_time)}" if picture.expire_time else ""
    return f"in the trash{until}"


def _print_receipt(receipt: ErasureReceipt) -> None:
    print_line(
        Text(f"{clean(receipt.picture_id)}  erased", "bold"), Text(f"  receipt {clean(receipt.receipt_id)}", "dim")
    )
    for name, number in sorted(receipt.erased.items()):
        print_line(f"  {clean(name)}: {number:,}")
    for name in receipt.objects:
        print_line(f"  {clean(name)}")
    for export in receipt.exports:
        by = f" by {export.caller}" if export.caller else ""
        line = (
            f"  Perhaps in the export {export.export_id} of {shown_time(export.create_time)}{by}: erase it there, too."
        )
        print_line(Text(clean(line), "yellow"))
    for line in receipt.beyond_reach:
        print_line(Text(clean(f"  Beyond reach: {line}"), "yellow"))
