"""A recognition for people to read."""

from collections.abc import Iterator, Sequence

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from marquee.cli import terminal
from marquee.cli.draw.verdicts import name_of, verdicts_of
from marquee.cli.terminal import clean
from marquee.enums import Outcome, VerdictState
from marquee.faces import Candidate, Face
from marquee.results import Label, Recognition, RecognizerResult, RecognizerTimings, Verdict

_STATE_STYLES = {
    VerdictState.IDENTIFIED: "bold green",
    VerdictState.UNKNOWN: "yellow",
    VerdictState.DISAGREE: "bold red",
    VerdictState.NO_FACE: "dim",
}
_OUTCOME_STYLES = {Outcome.OK: "green", Outcome.PARTIAL: "yellow", Outcome.SKIPPED: "dim"}
_MOST_LABELS = 8


def print_recognition(file: str, recognition: Recognition) -> None:
    """Prints the verdicts, then what each recognizer said, then the labels."""
    console = terminal.stdout()
    console.print(_title(file, recognition))
    if verdicts := verdicts_of(recognition):
        console.print(_indented(_verdict_table(verdicts)))
    console.print(_indented(_recognizer_table(recognition.results)))
    if recognition.labels:
        console.print(Text("  Labels: " + _scored(recognition.labels[:_MOST_LABELS])))
    console.print()


def table_of(*headers: str) -> Table:
    """Without lines; a header that starts with > is of numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for header in headers:
        table.add_column(
            header.removeprefix(">"), justify="right" if header.startswith(">") else "left", overflow="fold"
        )
    return table


def words(name: str) -> str:
    """NO_FACE → no face."""
    return name.replace("_", " ").lower()


def dollars(micro_usd: int) -> str:
    """1000 → $0.001, 3400000 → $3.40."""
    whole_cents = micro_usd % 10_000 == 0
    return f"${micro_usd / 1e6:.2f}" if whole_cents else f"${micro_usd / 1e6:g}"


def _indented(table: Table) -> Padding:
    return Padding(table, (0, 0, 0, 2), expand=False)


def _title(file: str, recognition: Recognition) -> Text:
    image = recognition.image
    facts = [f"{image.width}x{image.height} {image.format}"] if image.width else []
    facts += [f"{recognition.timings.total * 1000:.0f} ms"]
    facts += [dollars(recognition.cost_micro_usd)] if recognition.cost_micro_usd else []
    facts += [f"{dollars(recognition.saved_micro_usd)} saved"] if recognition.saved_micro_usd else []
    return Text.assemble((clean(file), "bold"), ("  " + ", ".join(facts), "dim"))


def _verdict_table(verdicts: Sequence[Verdict]) -> Table:
    table = table_of("Verdict", "Person", ">Score", "Supported by")
    for verdict in verdicts:
        state = Text(words(verdict.state), _STATE_STYLES.get(verdict.state, ""))
        score = f"{verdict.score:.2f}" if verdict.state is VerdictState.IDENTIFIED else ""
        table.add_row(state, clean(name_of(verdict)), score, _support(verdict))
    return table


def _support(verdict: Verdict) -> str:
    disagree = verdict.state is VerdictState.DISAGREE
    words = (
        f"{support.recognizer} {_candidate(support.candidate) if disagree else f'{support.candidate.score:.2f}'}"
        for support in verdict.support
    )
    return clean(", ".join(words))


def _recognizer_table(results: Sequence[RecognizerResult]) -> Table:
    table = table_of("Recognizer", "Outcome", ">ms", "Found")
    for result in results:
        outcome = Text(words(result.outcome), _OUTCOME_STYLES.get(result.outcome, "red"))
        table.add_row(clean(result.recognizer), outcome, _milliseconds(result.timings), _found(result))
    return table


def _found(result: RecognizerResult) -> Text:
    lines = [Text(clean(line)) for line in _finds(result)]
    if result.status.code != "OK":
        lines.append(Text(clean(f"{result.status.code}: {result.status.message}"), "red"))
    failed = (f"{words(error.feature)}: {error.status.message}" for error in result.feature_errors)
    lines += [Text(clean(line), "yellow") for line in (*failed, *result.warnings)]
    return Text("\n").join(lines or [Text("nothing", "dim")])


def _finds(result: RecognizerResult) -> Iterator[str]:
    people = [_face(face) for face in result.faces] + [_candidate(person) for person in result.image_candidates]
    if people:
        yield ", ".join(people)
    if result.labels:
        yield _scored(result.labels[:_MOST_LABELS])
    if result.texts:
        yield " ".join(f"“{text.content}”" for text in result.texts)
    if result.moderation_labels:
        yield ", ".join(f"{label.name} {label.score:.2f}" for label in result.moderation_labels)


def _face(face: Face) -> str:
    return _candidate(face.candidates[0]) if face.candidates else "an unknown face"


def _candidate(candidate: Candidate) -> str:
    return f"{candidate.display_name} {candidate.score:.2f}"


def _scored(labels: Sequence[Label]) -> str:
    return ", ".join(f"{label.name} {label.score:.2f}" for label in labels)


def _milliseconds(timings: RecognizerTimings) -> str:
    """All that is known of it: waiting, on the way, recognizing."""
    known = [seconds for seconds in (timings.queue, timings.network, timings.recognizer) if seconds is not None]
    return f"{sum(known) * 1000:.0f}" if known else ""
