"""Prints what became of each picture: a table, JSON or CSV."""

import csv
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from marquee.cli.draw.verdicts import name_of, verdicts_of
from marquee.cli.options import Output
from marquee.cli.run.attempts import Attempt
from marquee.cli.tables import print_recognition
from marquee.cli.terminal import print_error, print_json
from marquee.errors import MarqueeError, Unreachable
from marquee.results import Verdict

Printer: TypeAlias = Callable[[Attempt], None]
_COLUMNS = (
    *("file", "state", "name", "person_id", "score"),
    *("left", "top", "width", "height", "support", "error"),
)


def printer_of(output: Output, pictures: int) -> Printer:
    """What prints one attempt after the other; errors go to standard error in every format."""
    match output:
        case Output.JSON:
            return _with_errors(_json_printer(a_line=pictures > 1))
        case Output.CSV:
            return _with_errors(_csv_printer())
        case _:
            return _with_errors(_print_table)


def error_dict(error: MarqueeError) -> dict[str, Any]:
    """What `json.dumps` takes."""
    return {
        "code": error.code,
        "reason": error.reason,
        "message": error.message,
        "metadata": error.metadata,
        "request_id": error.request_id,
        "causes": [cause.to_dict() for cause in error.causes],
    }


def _with_errors(printer: Printer) -> Printer:
    def print_attempt(attempt: Attempt) -> None:
        printer(attempt)
        sys.stdout.flush()
        if attempt.error is not None:
            named = isinstance(attempt.error, Unreachable) or attempt.message.startswith(attempt.file)
            print_error("" if named else attempt.file, attempt.message)

    return print_attempt


def _print_table(attempt: Attempt) -> None:
    if attempt.recognition is not None:
        print_recognition(attempt.file, attempt.recognition)


def _json_printer(*, a_line: bool) -> Printer:
    def print_object(attempt: Attempt) -> None:
        found = attempt.recognition.to_dict() if attempt.recognition else {"error": _error(attempt)}
        print_json({"file": attempt.file, **found}, a_line=a_line)

    return print_object


def _error(attempt: Attempt) -> dict[str, Any]:
    if isinstance(attempt.error, MarqueeError):
        return error_dict(attempt.error)
    return {"code": None, "message": attempt.message}


def _csv_printer() -> Printer:
    writer = csv.DictWriter(sys.stdout, _COLUMNS, lineterminator="\n")
    writer.writeheader()

    def print_rows(attempt: Attempt) -> None:
        verdicts = verdicts_of(attempt.recognition) if attempt.recognition else ()
        for row in [_row(verdict) for verdict in verdicts] or [{"error": attempt.message}]:
            writer.writerow({"file": attempt.file, **row})

    return print_rows


def _row(verdict: Verdict) -> Mapping[str, object]:
    """Empty cells where there is nothing to tell: no box, no score."""
    return {
        "state": verdict.state,
        "name": name_of(verdict),
        "person_id": verdict.person_id,
        "score": verdict.score or "",
        "support": "; ".join(f"{s.recognizer}={s.candidate.display_name} {s.candidate.score}" for s in verdict.support),
        **(verdict.box.to_dict() if verdict.box else {}),
    }
