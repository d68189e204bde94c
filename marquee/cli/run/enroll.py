"""Does what `marquee enroll` was asked to do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from marquee.cli.options import ListOutput
from marquee.cli.progress import Progress
from marquee.cli.run.attempts import Exit
from marquee.cli.run.batches import Batch, enroll_all
from marquee.cli.run.enrollment_report import Report
from marquee.cli.run.enrollment_tables import print_report, print_totals
from marquee.cli.subjects import Subject
from marquee.cli.terminal import print_error, print_json, print_note
from marquee.client import Client
from marquee.enrollment_requests import EnrollmentOptions
from marquee.errors import Unauthenticated, Unimplemented, UnknownRecognizer, Unreachable

_SAME_FOR_ALL = (Unauthenticated, Unimplemented, UnknownRecognizer, Unreachable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolling:
    """What was asked, already checked."""

    subjects: Sequence[Subject]
    address: str | None
    timeout: float
    call: EnrollmentOptions
    output: ListOutput


def run(asked: Enrolling) -> Exit:
    """Enrolls and prints, one person after the other; the worst one's exit code."""
    reports: list[Report] = []
    pictures = sum(len(subject.pictures) for subject in asked.subjects)
    with Client(asked.address) as client, Progress(pictures) as progress:
        for report in _reports(asked, client, progress):
            with progress.aside():
                _print(asked, report, first=not reports)
            reports.append(report)
    if asked.output is ListOutput.TABLE and len(asked.subjects) > 1:
        print_totals(reports, len(asked.subjects))
    return max(report.exit for report in reports)


def _reports(asked: Enrolling, client: Client, progress: Progress) -> Iterator[Report]:
    """One per person. Ends after the first error that everybody else's call would meet too."""
    for subject in asked.subjects:
        batches = []
        for batch in _batches(asked, client, subject):
            progress.advance(len(batch.pictures))
            batches.append(batch)
            if isinstance(batch.answer, _SAME_FOR_ALL):
                yield Report(subject, batches)
                return
        yield Report(subject, batches)


def _batches(asked: Enrolling, client: Client, subject: Subject) -> Iterator[Batch]:
    call: EnrollmentOptions = {
        **asked.call,
        "display_name": subject.display_name,
        "person_id": subject.person_id,
    }
    return enroll_all(subject.pictures, partial(client.enroll, timeout=asked.timeout, **call))


def _print(asked: Enrolling, report: Report, *, first: bool) -> None:
    if report.subject.left_out:
        print_note(report.subject.left_out)
    if asked.output is ListOutput.JSON:
        print_json(report.to_dict(), a_line=len(asked.subjects) > 1)
    else:
        print_report(report, skipped=first)
    for error in report.errors:
        print_error("" if isinstance(error, Unreachable) else report.display_name, error.message)
