"""Does what `marquee remove` was asked to do."""

import sys
from dataclasses import dataclass

import typer
from rich.text import Text

from marquee.cli import terminal
from marquee.cli.options import ListOutput
from marquee.cli.run.attempts import Exit
from marquee.cli.run.calls import connected
from marquee.cli.run.enrollment_tables import count
from marquee.cli.tables import words
from marquee.cli.terminal import clean, print_error, print_json
from marquee.client import Client
from marquee.enrollment import Removal
from marquee.enrollment_requests import PeopleOptions
from marquee.enums import Outcome

_ANSWERED = (Outcome.OK, Outcome.PARTIAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removing:
    """What was asked."""

    person_id: str
    sure: bool
    address: str | None
    timeout: float
    output: ListOutput
    call: PeopleOptions


def run(asked: Removing) -> Exit:
    """Asks, removes, and tells what each recognizer forgot. Raises BadParameter where nobody can be asked."""
    if not asked.sure and not sys.stdin.isatty():
        raise typer.BadParameter("nobody is there to be asked: say --yes to remove.", param_hint="--yes")
    with connected(asked.address) as client:
        if not asked.sure and not _confirmed(asked, client):
            return Exit.FAILED
        removal = client.remove_person(asked.person_id, timeout=asked.timeout, **asked.call)
    _print(asked, removal)
    return _tell_failures(asked, removal)


def _confirmed(asked: Removing, client: Client) -> bool:
    """Shows who it is. Where nobody has the id there is nothing to ask."""
    known = [
        (result.recognizer, person)
        for result in client.people(timeout=asked.timeout, **asked.call)
        for person in result.people
        if person.person_id == asked.person_id and person.create_time
    ]
    if not known:
        return True
    names = " or ".join(dict.fromkeys(clean(person.display_name) for _, person in known))
    faces = ", ".join(f"{count(person.face_count, 'face')} in {clean(recognizer)}" for recognizer, person in known)
    return typer.confirm(f"Forget {names} ({faces})?", err=True)


def _print(asked: Removing, removal: Removal) -> None:
    if asked.output is ListOutput.JSON:
        print_json(removal.to_dict())
        return
    console = terminal.stdout()
    for result in removal.results:
        name = clean(result.recognizer)
        if result.outcome is Outcome.SKIPPED:
            console.print(Text(f"{name} skipped: {clean(result.status.message)}", "dim"))
        elif result.outcome in _ANSWERED:
            console.print(f"{name} forgot {count(result.removed_faces, 'face')} of {clean(asked.person_id)}")


def _tell_failures(asked: Removing, removal: Removal) -> Exit:
    """Also that there was nobody to forget, which to a server is no error."""
    problems = [
        (f"{result.recognizer} {words(result.outcome)}", f"{result.status.message} Run it again; that is safe.")
        for result in removal.results
        if result.outcome not in (*_ANSWERED, Outcome.SKIPPED)
    ]
    problems += [(result.recognizer, warning) for result in removal.results for warning in result.warnings]
    if not any(result.removed_faces or result.warnings for result in removal.results):
        problems += [
            ("", f"Nobody is enrolled as {asked.person_id}. `marquee people` lists whom the recognizers know.")
        ]
    for name, message in problems:
        print_error(name, message)
    return Exit.FAILED if problems else Exit.OK
