"""Recognitions as tables, JSON or CSV, and what all tables have in common."""

import csv
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from marquee.cli.options import Output
from marquee.cli.table import Table, Text, print_line
from marquee.cli.terminal import print_error, print_json, print_note
from marquee.draw.text import clean
from marquee.enums import Findings, Outcome, VerdictBasis, VerdictState
from marquee.errors import MarqueeError, Unreachable
from marquee.results import (
    Candidate,
    Face,
    Label,
    Recognition,
    RecognizerResult,
    RecognizerTimings,
    Verdict,
)
from marquee.rows import COLUMNS, is_sure, labels_of, name_of, rows_of, verdicts_of

_STATE_STYLES = {
    VerdictState.IDENTIFIED: "bold green",
    VerdictState.UNKNOWN: "yellow",
    VerdictState.DISAGREE: "bold red",
    VerdictState.NO_FACE: "dim",
}
_VERDICT_HEADERS = ("Verdict", "Person", ">Score", "Supported by")
_OUTCOME_STYLES = {Outcome.OK: "green", Outcome.PARTIAL: "yellow", Outcome.SKIPPED: "dim"}
_MS_DIGITS = 5
"""Width of the column of milliseconds at least, so that slow and quick pictures' tables are alike."""
_FOUND_LABELS = 8
"""Of one recognizer, among what else it found."""
_MAX_LABELS = 10
"""Of all recognizers, unless more were asked for."""
_FORMULA = re.compile(r"[\t\r\n].|\s*[=+\-@＝＋－＠].", re.DOTALL)  # noqa: RUF001 - spreadsheets read these, too
"""Text that a spreadsheet computes, some after leaving out blanks; see OWASP's page on CSV injection."""
_INDENT = 2
_BAR = 48
"""Letters of the longest bar."""
_CSV_BLANKS = ("\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class FileResult:
    """Recognition of one FILE, or the error."""

    file: str
    recognition: Recognition | None = None
    error: MarqueeError | OSError | None = None
    """With a recognition: it could not be drawn."""
    notes: Sequence[str] = ()
    """On the drawing."""

    @property
    def message(self) -> str:
        """Message of the error; empty if there is none."""
        return message_of(self.error) if self.error else ""


Printer: TypeAlias = Callable[[FileResult], None]


def printer_of(
    output: Output,
    *,
    one_line: bool,
    rows: Findings = Findings.FACES,
    max_labels: int | None = None,
    timings: bool = False,
) -> Printer:
    """Return a function that prints one result after another; errors also go to standard error.

    `one_line`: print each JSON object on a line of its own, as for several pictures. `rows`: those of CSV.
    `max_labels`: how many labels were asked for; None: the default. `timings`: whether tables show where time went.
    """
    match output:
        case Output.JSON:
            return _with_errors(_json_printer(one_line=one_line))
        case Output.CSV:
            return _with_errors(_csv_printer(rows))
        case _:
            most = max(max_labels or 0, _MAX_LABELS)
            return _with_errors(partial(_print_table, max_labels=most, timings=timings))


def words(name: str) -> str:
    """NO_FACE → no face."""
    return name.replace("_", " ").lower()


def dollars(micro_usd: int) -> str:
    """7 → $0.000007, 1000 → $0.001, 3400000 → $3.40, 1234500000 → $1,234.50."""
    whole, millionths = divmod(abs(micro_usd), 1_000_000)
    return f"{'-' if micro_usd < 0 else ''}${whole:,}.{f'{millionths:06}'.rstrip('0'):0<2}"


def count(number: int, noun: str) -> str:
    """1 face, 2 faces, 1,000 faces."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def message_of(error: MarqueeError | OSError) -> str:
    """Return the error's message, with the file's name if it is about one."""
    if isinstance(error, MarqueeError):
        return error.message
    name = f"{error.filename}: " if error.filename else ""
    return name + (error.strerror or str(error))


def print_file_error(file: str, error: MarqueeError | OSError) -> None:
    """Print an error to standard error, with the name of the FILE that it is about."""
    message = message_of(error)
    has_name = isinstance(error, Unreachable) or message.startswith(file)
    print_error("" if has_name else file, message)


def error_dict(error: MarqueeError | OSError) -> dict[str, Any]:
    """Convert an error to what `json.dumps` takes."""
    if isinstance(error, OSError):
        return {"code": None, "message": message_of(error)}
    return {
        "code": error.code,
        "reason": error.reason,
        "message": error.message,
        "metadata": error.metadata,
        "request_id": error.request_id,
        "retry_after": error.retry_after,
        "causes": [cause.to_dict() for cause in error.causes],
    }


def _with_errors(printer: Printer) -> Printer:
    noted: set[str] = set()

    def print_result(result: FileResult) -> None:
        printer(result)
        sys.stdout.flush()
        for note in dict.fromkeys(note for note in result.notes if note not in noted):
            print_note(note)
        noted.update(result.notes)
        if result.error is not None:
            print_file_error(result.file, result.error)

    return print_result


def _json_printer(*, one_line: bool) -> Printer:
    def print_object(result: FileResult) -> None:
        content = result.recognition.to_dict() if result.recognition else {}
        error = {"error": error_dict(result.error)} if result.error else {}
        print_json({"file": result.file, **content, **error}, one_line=one_line)

    return print_object


def csv_columns(findings: Findings) -> tuple[str, ...]:
    """Return the columns of a CSV of those rows; further ones come after those of faces."""
    columns = ("file", *COLUMNS[findings], "error")
    faces = () if findings is Findings.LABELS else ("file", *COLUMNS[Findings.FACES], "error")
    return tuple(dict.fromkeys((*faces, *columns)))


def _csv_printer(findings: Findings) -> Printer:
    columns = csv_columns(findings)
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    sys.stdout.write(",".join(columns) + "\n")

    def print_rows(result: FileResult) -> None:
        rows = rows_of(result.recognition, findings) if result.recognition else []
        for row in rows or [{}]:
            cells = {"file": result.file, **row, "error": result.message}
            writer.writerow({column: _csv_cell(value) for column, value in cells.items()})

    return print_rows


def _csv_cell(value: object) -> object:
    """Return numbers as they are, and text that neither controls a terminal nor is a spreadsheet's formula."""
    if not isinstance(value, str):
        return "" if value is None else value
    text = "".join(part if part in _CSV_BLANKS else clean(part) for part in re.split(r"([\t\r\n])", value))
    return f"'{text}" if _FORMULA.match(text) else text


def _print_table(result: FileResult, max_labels: int, *, timings: bool) -> None:
    """Print the verdicts, then each recognizer's findings, then the labels."""
    if (recognition := result.recognition) is None:
        return
    print_line(*_title(result.file, recognition))
    if verdicts := verdicts_of(recognition):
        _verdict_table(verdicts).print(_INDENT)
        if any(verdict.basis is VerdictBasis.STALE_CALIBRATION for verdict in verdicts):
            print_line(Text("  By scores: the gateway's table of calibration is for other models", "yellow"))
    _recognizer_table(recognition.results).print(_INDENT)
    labels = labels_of(recognition)
    if any(label.parents or label.categories or label.instances for label in labels):
        label_table(labels[:max_labels]).print(_INDENT)
    elif labels:
        print_line(clean("  Labels: " + _label_list(labels[:max_labels])))
    if more := len(labels[max_labels:]):
        print_line(Text(f"  … and {count(more, 'more label')}: -o json has all", "dim"))
    if timings:
        _timings_table(recognition).print(_INDENT)
    print_line()


def _title(file: str, recognition: Recognition) -> tuple[Text, Text]:
    image = recognition.image
    facts = [f"{image.width}x{image.height} {image.format}"] if image.width else []
    facts += [f"{recognition.timings.total * 1000:.0f} ms"]
    facts += [dollars(recognition.cost_micro_usd)] if recognition.cost_micro_usd else []
    facts += [f"{dollars(recognition.saved_micro_usd)} saved"] if recognition.saved_micro_usd else []
    return Text(clean(file), "bold"), Text("  " + clean(", ".join(facts)), "dim")


def _verdict_table(verdicts: Sequence[Verdict]) -> Table:
    table = Table(*_VERDICT_HEADERS)
    for verdict in verdicts:
        table.add_row(*verdict_cells(verdict))
    return table


def verdict_cells(verdict: Verdict) -> tuple[Text, str, str, str]:
    """Return the cells below _VERDICT_HEADERS."""
    state = Text(words(verdict.state), _STATE_STYLES.get(verdict.state, ""))
    score = f"{verdict.score:.2f}" if verdict.state is VerdictState.IDENTIFIED else ""
    return state, clean(name_of(verdict)), score, _support(verdict)


def _support(verdict: Verdict) -> str:
    is_named = verdict.state is VerdictState.IDENTIFIED
    supporters = (
        f"{support.recognizer} {f'{support.candidate.score:.2f}' if is_named else _candidate(support.candidate)}"
        for support in verdict.support
    )
    return clean(", ".join(supporters))


def _recognizer_table(results: Sequence[RecognizerResult]) -> Table:
    table = Table("Recognizer", "Outcome", f">{'ms':>{_MS_DIGITS}}", "Found")
    for result in results:
        outcome = Text(words(result.outcome), _OUTCOME_STYLES.get(result.outcome, "red"))
        table.add_row(clean(result.recognizer), outcome, _milliseconds(result.timings), findings(result))
    return table


def label_table(labels: Sequence[Label]) -> Table:
    """Return a table of labels with their boxes, parents and categories."""
    table = Table("Label", ">Score", ">Boxes", "Parents", "Categories")
    for label in labels:
        boxes = f"{len(label.instances)}" if label.instances else ""
        table.add_row(
            clean(label.name),
            f"{label.score:.2f}",
            boxes,
            clean(", ".join(label.parents)),
            clean(", ".join(label.categories)),
        )
    return table


def findings(result: RecognizerResult) -> list[Text]:
    """Return what a recognizer found, and what failed, as lines."""
    lines = [Text(clean(line)) for line in _finding_lines(result)]
    if result.status.code != "OK":
        lines.append(Text(clean(f"{result.status.code}: {result.status.message}"), "red"))
    elif result.outcome is Outcome.SKIPPED and result.status.message:
        lines.append(Text(clean(result.status.message), "dim"))
    failures = [f"{words(error.feature)} failed: {error.status.message}" for error in result.feature_errors]
    warnings = [warning for warning in result.warnings if warning not in failures]
    lines += [Text(clean(line), "yellow") for line in (*failures, *warnings)]
    lines += [Text("remembered", "dim")] if result.from_cache else []
    return lines or [Text("nothing", "dim")]


def _finding_lines(result: RecognizerResult) -> Iterator[str]:
    people = [_face(face, result) for face in result.faces]
    people += [_person(person, result) for person in result.image_candidates]
    if people:
        yield ", ".join(people)
    if result.labels:
        more = len(result.labels[_FOUND_LABELS:])
        yield _label_list(result.labels[:_FOUND_LABELS]) + (f" … and {more} more" if more else "")
    if result.texts:
        yield " ".join(f"“{text.content}”" for text in result.texts)
    if result.moderation_labels:
        yield ", ".join(f"{label.name} {label.score:.2f}" for label in result.moderation_labels)


def _face(face: Face, result: RecognizerResult) -> str:
    return _person(face.candidates[0], result) if face.candidates else "an unknown face"


def _person(candidate: Candidate, result: RecognizerResult) -> str:
    return _candidate(candidate) if is_sure(candidate, result) else f"perhaps {_candidate(candidate)}"


def _candidate(candidate: Candidate) -> str:
    return f"{candidate.display_name} {candidate.score:.2f}"


def _label_list(labels: Sequence[Label]) -> str:
    return ", ".join(f"{label.name} {label.score:.2f}" for label in labels)


def _milliseconds(timings: RecognizerTimings) -> str:
    """Return the sum of what was measured: queue, network, recognizer."""
    parts = [seconds for seconds in (timings.queue, timings.network, timings.recognizer) if seconds is not None]
    return f"{sum(parts) * 1000:.0f}" if parts else ""


def _timings_table(recognition: Recognition) -> Table:
    """Return the call as a waterfall: a row for each part, with a bar from when it began to when it was over."""
    times = recognition.timings
    scale = _BAR / times.total if times.total else 0
    table = Table("Time", ">from", ">ms", "= receiving, - network, . waiting, # recognizing, * verdicts")
    if times.queue is not None:
        _add_part(table, "request", 0, [("=", times.queue)], scale)
    for result in recognition.results:
        if result.timings.start is not None:
            _add_part(table, result.recognizer, result.timings.start, _spans(result.timings), scale)
    if times.fusion is not None:
        _add_part(table, "verdicts", times.total - times.fusion, [("*", times.fusion)], scale)
    return table


def _spans(timings: RecognizerTimings) -> list[tuple[str, float]]:
    """Return the parts of a recognizer's time; of the network's, half is the way there."""
    way = (timings.network or 0) / 2
    return [("-", way), (".", timings.queue or 0), ("#", timings.recognizer or 0), ("-", way)]


def _add_part(table: Table, name: str, start: float, spans: Sequence[tuple[str, float]], scale: float) -> None:
    blanks = min(round(start * scale), _BAR - 1)
    bar, now = "", start
    for letter, seconds in spans:
        now += seconds
        bar += letter * (round(now * scale) - blanks - len(bar))
    longest = max(spans, key=lambda span: span[1])[0]
    table.add_row(clean(name), f"{start * 1000:.0f}", f"{(now - start) * 1000:.0f}", " " * blanks + (bar or longest))
