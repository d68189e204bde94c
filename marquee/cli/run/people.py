"""Asks whom the recognizers know and prints it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rich.text import Text

from marquee.cli import terminal
from marquee.cli.options import ListOutput
from marquee.cli.run.attempts import Exit
from marquee.cli.run.calls import connected
from marquee.cli.tables import table_of, words
from marquee.cli.terminal import clean, print_error, print_json
from marquee.enrollment import PeopleResult, Person
from marquee.enrollment_requests import PeopleOptions
from marquee.enums import Outcome


@dataclass(slots=True)
class _Known:
    """One person, at all recognizers."""

    person_id: str
    at: dict[str, Person] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return " or ".join(dict.fromkeys(person.display_name for person in self.at.values()))

    @property
    def trained(self) -> str:
        return ", ".join(recognizer for recognizer, person in self.at.items() if person.trained)

    @property
    def since(self) -> datetime | None:
        return min((person.create_time for person in self.at.values() if person.create_time), default=None)

    def faces(self, recognizer: str) -> str:
        """Empty where the recognizer does not know the person."""
        return str(self.at[recognizer].face_count) if recognizer in self.at else ""


def print_people(address: str | None, timeout: float, output: ListOutput, call: PeopleOptions) -> Exit:
    """Prints everybody; recognizers that failed go to standard error."""
    with connected(address) as client:
        results = client.people(timeout=timeout, **call)
    if output is ListOutput.JSON:
        print_json([result.to_dict() for result in results])
    else:
        _print_table(results)
    return _tell_failures(results)


def _print_table(results: Sequence[PeopleResult]) -> None:
    console = terminal.stdout()
    people = _merged(results)
    enrolling = [result.recognizer for result in results if result.outcome is Outcome.OK or result.people]
    if people:
        table = table_of("Person", "Id", *(f">Faces in {clean(name)}" for name in enrolling), "Trained", "Since")
        for one in people:
            since = f"{one.since.astimezone():%Y-%m-%d %H:%M}" if one.since else ""
            faces = (one.faces(recognizer) for recognizer in enrolling)
            table.add_row(clean(one.name), clean(one.person_id), *faces, clean(one.trained), since)
        console.print(table)
    elif enrolling:
        console.print("Nobody is known yet; `marquee enroll` teaches a face.")
    for result in results:
        if result.outcome is Outcome.SKIPPED:
            console.print(Text(clean(f"{result.recognizer} skipped: {result.status.message}"), "dim"))


def _merged(results: Sequence[PeopleResult]) -> list[_Known]:
    """By person_id."""
    known: dict[str, _Known] = {}
    for result in results:
        for person in result.people:
            known.setdefault(person.person_id, _Known(person.person_id)).at[result.recognizer] = person
    return [known[person_id] for person_id in sorted(known)]


def _tell_failures(results: Sequence[PeopleResult]) -> Exit:
    failed = [result for result in results if result.outcome not in (Outcome.OK, Outcome.SKIPPED)]
    for result in failed:
        print_error(f"{result.recognizer} {words(result.outcome)}", result.status.message)
    return Exit.FAILED if failed else Exit.OK
