"""Remove a person, after confirmation."""

import sys
from dataclasses import dataclass

import typer
from rich.text import Text

from marquee.cli import terminal
from marquee.cli.exits import Exit, connect
from marquee.cli.options import ListOutput
from marquee.cli.output import count, words
from marquee.cli.terminal import clean, print_error, print_json
from marquee.client import Client
from marquee.enrollment import Removal
from marquee.enums import Outcome
from marquee.requests import PeopleOptions

_REMOVED = (Outcome.OK, Outcome.PARTIAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveArgs:
    """Arguments of `marquee remove`."""

    person_id: str
    confirmed: bool
    address: str
    timeout: float
    output: ListOutput
    options: PeopleOptions


def run(args: RemoveArgs) -> Exit:
    """Ask, remove the person, and print what each recognizer removed.

    Raises BadParameter if there is no terminal to ask, typer.Exit if the call fails.
    """
    if not args.confirmed and not sys.stdin.isatty():
        raise typer.BadParameter("cannot ask for confirmation without a terminal: pass --yes.", param_hint="--yes")
    with connect(args.address, args.output) as client:
        if not args.confirmed and not _confirm(args, client):
            return Exit.FAILED
        removal = client.remove_person(args.person_id, timeout=args.timeout, **args.options)
    _print(args, removal)
    return _print_failures(args, removal)


def _confirm(args: RemoveArgs, client: Client) -> bool:
    """Show who will be removed. If nobody has the ID there is nothing to ask."""
    people = [
        (result.recognizer, person)
        for result in client.people(timeout=args.timeout, **args.options)
        for person in result.people
        if person.person_id == args.person_id and person.create_time
    ]
    if not people:
        return True
    names = " or ".join(dict.fromkeys(clean(person.display_name) for _, person in people))
    faces = ", ".join(f"{count(person.face_count, 'face')} in {clean(recognizer)}" for recognizer, person in people)
    return typer.confirm(f"Remove {names} ({faces})?", err=True)


def _print(args: RemoveArgs, removal: Removal) -> None:
    if args.output is ListOutput.JSON:
        print_json(removal.to_dict())
        return
    console = terminal.stdout()
    for result in removal.results:
        name = clean(result.recognizer)
        if result.outcome is Outcome.SKIPPED:
            console.print(Text(f"{name} skipped: {clean(result.status.message)}", "dim"))
        elif result.outcome in _REMOVED:
            console.print(f"{name} removed {count(result.removed_faces, 'face')} of {clean(args.person_id)}")


def _print_failures(args: RemoveArgs, removal: Removal) -> Exit:
    """Print what failed and return the exit code. An unknown person is a failure here, though not for the server."""
    failures = [
        (f"{result.recognizer} {words(result.outcome)}", f"{result.status.message} It is safe to run this again.")
        for result in removal.results
        if result.outcome not in (*_REMOVED, Outcome.SKIPPED)
    ]
    failures += [(result.recognizer, warning) for result in removal.results for warning in result.warnings]
    if not any(result.removed_faces or result.warnings for result in removal.results):
        failures += [("", f"Nobody is enrolled as {args.person_id}. `marquee people` lists the known people.")]
    for name, message in failures:
        print_error(name, message)
    return Exit.FAILED if failures else Exit.OK
