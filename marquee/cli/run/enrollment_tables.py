"""What became of an enrollment, for people to read."""

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.padding import Padding
from rich.text import Text

from marquee.cli import terminal
from marquee.cli.run.enrollment_report import Report
from marquee.cli.tables import table_of, words
from marquee.cli.terminal import clean
from marquee.enrollment import EnrolledFace, EnrollmentResult
from marquee.enums import EnrollmentState, Outcome

_STYLES = {EnrollmentState.ENROLLED: "green", EnrollmentState.ALREADY_ENROLLED: "dim"}


def print_report(report: Report, *, skipped: bool = True) -> None:
    """Prints what became of each picture at each recognizer, then what the recognizers know now.

    `skipped`: also which recognizers do not enroll, the same for everybody.
    """
    if not (report.rows or report.recognizers):
        return
    console = terminal.stdout()
    folder = _folder(report)
    facts = "  ".join(clean(fact) for fact in (report.person_id, folder) if fact)
    console.print(Text.assemble((clean(report.display_name), "bold"), (f"  {facts}", "dim")))
    if report.rows:
        table = table_of("Picture", "Recognizer", "Became")
        for picture, recognizer, face in report.rows:
            table.add_row(clean(picture.removeprefix(folder)), clean(recognizer), _became(face))
        console.print(Padding(table, (0, 0, 0, 2), expand=False))
    for line in (line for result in report.recognizers for line in _said(result, skipped=skipped)):
        console.print(Padding(line, (0, 0, 0, 2), expand=False))
    console.print()


def print_totals(reports: Sequence[Report], asked: int) -> None:
    """One line of all people; `asked` are as many as it should have been."""
    states = Counter(state for report in reports for state in report.states.values())
    failed = sum(len(report.subject.pictures) - len(report.states) for report in reports)
    if not states:
        return
    people = f"{len(reports)} people" if len(reports) == asked else f"{len(reports)} of {asked} people"
    counts = [f"{states[state]} {words(state)}" for state in EnrollmentState if states[state]]
    counts += [f"{failed} failed"] if failed else []
    pictures = count(sum(states.values()) + failed, "picture")
    terminal.stdout().print(f"{people}, {pictures}: {', '.join(counts)}")


def count(number: int, noun: str) -> str:
    """1 face, 2 faces."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _folder(report: Report) -> str:
    """Where all of several pictures lie, told once instead of with each."""
    folders = {picture[: picture.rfind("/") + 1] for picture in report.subject.pictures}
    return folders.pop() if len(folders) == 1 and len(report.subject.pictures) > 1 else ""


def _became(face: EnrolledFace) -> Text:
    if face.state is not EnrollmentState.REFUSED:
        state = Text(words(face.state), _STYLES.get(face.state, ""))
        return Text("\n").join([state, *(Text(clean(warning), "yellow") for warning in face.warnings)])
    return Text(clean(f"refused: {_why(face)}"), "yellow")


def _why(face: EnrolledFace) -> str:
    """In the command's own words where the server's are about fields of the request."""
    other = face.status.metadata or {}
    if face.status.reason != "FACE_ALREADY_ENROLLED" or "person_id" not in other:
        return face.status.message
    return (
        f"this face is already enrolled as {other.get('display_name', '')} ({other['person_id']}). If it is the same "
        f"person: --person-id {other['person_id']}. If they are two: --allow-similar."
    )


def _said(result: EnrollmentResult, *, skipped: bool) -> Iterator[Text]:
    name = clean(result.recognizer)
    if result.outcome is Outcome.SKIPPED:
        if skipped:
            yield Text(clean(f"{result.recognizer} skipped: {result.status.message}"), "dim")
    elif result.outcome not in (Outcome.OK, Outcome.PARTIAL):
        yield Text(clean(f"{result.recognizer} {words(result.outcome)}: {result.status.message}"), "red")
    if result.person:
        known = count(result.person.face_count, "enrolled face")
        trained = ", and those it was trained on" if result.person.trained else ""
        yield Text(f"{name} knows {known} of {clean(result.person.display_name)}{trained}", "dim")
    for warning in result.warnings:
        yield Text(clean(f"{result.recognizer}: {warning}"), "yellow")
