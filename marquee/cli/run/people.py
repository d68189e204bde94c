"""List the people whom the recognizers know."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from marquee.cli.exits import Exit, connect
from marquee.cli.options import ListOutput
from marquee.cli.output import words
from marquee.cli.server import Server
from marquee.cli.table import Table, Text, print_line
from marquee.cli.terminal import print_error, print_json
from marquee.draw.text import clean
from marquee.enrollment import PeopleResult, Person
from marquee.enums import Outcome
from marquee.requests import PeopleOptions


def run(server: Server, timeout: float, output: ListOutput, options: PeopleOptions) -> Exit:
    """Print all people, and recognizers that failed to standard error. Raises typer.Exit if the call fails."""
    with connect(server, output) as client:
        results = client.people(timeout=timeout, **options)
    if output is ListOutput.JSON:
        print_json([result.to_dict() for result in results])
    else:
        _print_table(results)
    return _print_failures(results)


@dataclass(slots=True)
class _Row:
    """One person at all recognizers."""

    person_id: str
    by_recognizer: dict[str, Person] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return " or ".join(dict.fromkeys(person.display_name for person in self.by_recognizer.values()))

    @property
    def trained(self) -> str:
        return ", ".join(recognizer for recognizer, person in self.by_recognizer.items() if person.trained)

    @property
    def since(self) -> datetime | None:
        return min((person.create_time for person in self.by_recognizer.values() if person.create_time), default=None)

    def faces(self, recognizer: str) -> str:
        """Return the number of faces; empty if the recognizer does not know the person."""
        return str(self.by_recognizer[recognizer].face_count) if recognizer in self.by_recognizer else ""


def _print_table(results: Sequence[PeopleResult]) -> None:
    rows = _rows(results)
    recognizers = [result.recognizer for result in results if result.outcome is Outcome.OK or result.people]
    if rows:
        table = Table("Person", "ID", *(f">Faces in {clean(name)}" for name in recognizers), "Trained", "Since")
        for row in rows:
            since = f"{row.since.astimezone():%Y-%m-%d %H:%M}" if row.since else ""
            faces = (row.faces(recognizer) for recognizer in recognizers)
            table.add_row(clean(row.name), clean(row.person_id), *faces, clean(row.trained), since)
        table.print()
    elif recognizers:
        print_line("No people are known yet; `marquee enroll` adds them.")
    for result in results:
        if result.outcome is Outcome.SKIPPED:
            print_line(Text(clean(f"{result.recognizer} skipped: {result.status.message}"), "dim"))


def _rows(results: Sequence[PeopleResult]) -> list[_Row]:
    """Return one row per person, sorted by person_id."""
    rows: dict[str, _Row] = {}
    for result in results:
        for person in result.people:
            row = rows.setdefault(person.person_id, _Row(person.person_id))
            row.by_recognizer[result.recognizer] = person
    return [rows[person_id] for person_id in sorted(rows)]


def _print_failures(results: Sequence[PeopleResult]) -> Exit:
    failures = [result for result in results if result.outcome not in (Outcome.OK, Outcome.SKIPPED)]
    for result in failures:
        print_error(f"{result.recognizer} {words(result.outcome)}", result.status.message)
    return Exit.FAILED if failures else Exit.OK
