"""Enroll people, and print what happened to each picture."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

from marquee.cli.exits import Exit, exit_of
from marquee.cli.inputs import Enrollee, load
from marquee.cli.options import ListOutput
from marquee.cli.output import count, error_dict, words
from marquee.cli.server import Server
from marquee.cli.table import Table, Text, print_line
from marquee.cli.terminal import Progress, print_error, print_json, print_note
from marquee.client import Client
from marquee.draw.text import clean
from marquee.enrollment import EnrolledFace, Enrollment, EnrollmentResult
from marquee.enums import EnrollmentState, Outcome
from marquee.errors import (
    CollectionForbidden,
    InvalidCredentials,
    InvalidImage,
    MarqueeError,
    ResourceExhausted,
    ScopeMissing,
    Unauthenticated,
    Unimplemented,
    UnknownRecognizer,
    Unreachable,
)
from marquee.records import Status
from marquee.requests import EnrollmentOptions
from marquee.sources import MAX_IMAGE_BYTES, Source

MAX_PICTURES = 8
"""Per call. The contract allows 32, which a busy machine does not process within the usual timeout of a call."""
_PATIENCE_SECONDS = 600.0
_SAME_FOR_ALL = (
    *(CollectionForbidden, InvalidCredentials, ScopeMissing, Unauthenticated),
    *(Unimplemented, UnknownRecognizer, Unreachable),
)
_STATES = (
    *(EnrollmentState.ALREADY_ENROLLED, EnrollmentState.ENROLLED),
    *(EnrollmentState.REFUSED, EnrollmentState.UNSPECIFIED),
)
"""From best to worst."""
_OUTCOMES = (Outcome.OK, Outcome.SKIPPED, Outcome.PARTIAL)
"""From best to worst; all others are worse."""
_STATE_STYLES = {EnrollmentState.ENROLLED: "green", EnrollmentState.ALREADY_ENROLLED: "dim"}

_OTHERS = {
    "FACE_ALREADY_ENROLLED": (
        "this face is already enrolled as {name} ({id}). If it is the same person, use --person-id {id}; "
        "if not, use --allow-similar."
    ),
    "NAME_TAKEN": (
        "the name is taken: this face does not match those of {name} ({id}). If it is the same person, use "
        "--person-id {id} or --allow-different; if not, use another --person-id."
    ),
}
"""Refusals for another person's sake, in the terms of the command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollArgs:
    """Validated arguments of `marquee enroll`."""

    enrollees: Sequence[Enrollee]
    server: Server
    timeout: float
    options: EnrollmentOptions
    output: ListOutput


def run(args: EnrollArgs) -> Exit:
    """Enroll and print one person after another. Returns the worst one's exit code."""
    reports: list[_Report] = []
    pictures = sum(len(enrollee.pictures) for enrollee in args.enrollees)
    with args.server.connect(batch=len(args.enrollees) > 1) as client, Progress(pictures) as progress:
        for report in _reports(args, client, progress):
            with progress.paused():
                _print(args, report, first=not reports)
            reports.append(report)
    if args.output is ListOutput.TABLE and len(args.enrollees) > 1:
        _print_totals(reports, len(args.enrollees))
    return max(report.exit for report in reports)


@dataclass(frozen=True, slots=True)
class Batch:
    """Pictures of one person that were enrolled in one call, and the response or error."""

    pictures: Sequence[str]
    answer: Enrollment | MarqueeError | OSError
    """An OSError or InvalidImage of a single picture: it was not sent."""

    @property
    def results(self) -> Sequence[EnrollmentResult]:
        """One per recognizer; none if the call failed. A picture that was not sent has one without a name."""
        match self.answer:
            case Enrollment(results=results):
                return results
            case OSError() as error:
                return [_refusal(Status("UNKNOWN", error.strerror or str(error)))]
            case InvalidImage() as error if len(self.pictures) == 1:
                name, message = self.pictures[0], error.message
                message = f"the file{message.removeprefix(name)}" if message.startswith(name) else message
                return [_refusal(Status(error.code, message, error.reason))]
            case _:
                return []


def enroll_all(pictures: Sequence[str], enroll: Callable[[Sequence[Source]], Enrollment]) -> Iterator[Batch]:
    """Enroll the pictures in calls of at most MAX_PICTURES and 15 MiB. One that cannot be read fails alone."""
    if not pictures:
        yield _enroll([], [], enroll)
    names: list[str] = []
    sources: list[Source] = []
    for picture in pictures:
        try:
            source = load(picture)
        except (OSError, InvalidImage) as error:
            yield Batch([picture], error)
            continue
        if len(names) == MAX_PICTURES or _total_bytes([*sources, source]) > MAX_IMAGE_BYTES:
            yield _enroll(names, sources, enroll)
            names, sources = [], []
        names.append(picture)
        sources.append(source)
    if names:
        yield _enroll(names, sources, enroll)


def _enroll(names: Sequence[str], sources: Sequence[Source], enroll: Callable[[Sequence[Source]], Enrollment]) -> Batch:
    """Enroll the pictures; where the server is full, when it says that it is no longer, for some minutes."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return Batch(names, enroll(sources))
        except MarqueeError as error:
            wait = error.retry_after if isinstance(error, ResourceExhausted) else None
            if wait is None or time.monotonic() + wait > end:
                return Batch(names, error.enrollment or error)
            time.sleep(wait)
        except OSError as error:
            return Batch(names, error)


def _total_bytes(sources: Sequence[Source]) -> int:
    """Return the number of bytes to send; S3 objects are not sent."""
    return sum(len(source) for source in sources if isinstance(source, bytes))


def _refusal(status: Status) -> EnrollmentResult:
    face = EnrolledFace("", EnrollmentState.REFUSED, status, None, None, ())
    return EnrollmentResult("", Status("OK"), Outcome.PARTIAL, None, (face,), None, 0, ())


class _Row(NamedTuple):
    """What one recognizer did with one picture."""

    picture: str
    recognizer: str
    """Empty for a picture that could not be read."""
    face: EnrolledFace


@dataclass(frozen=True)
class _Report:
    """What happened to one person's pictures, over all calls."""

    enrollee: Enrollee
    batches: Sequence[Batch]

    @property
    def person_id(self) -> str:
        """The server's, else the requested one."""
        ids = (batch.answer.person_id for batch in self.batches if isinstance(batch.answer, Enrollment))
        return next(ids, self.enrollee.person_id)

    @property
    def display_name(self) -> str:
        """The requested name, else the recognizers', else the person_id."""
        names = (result.person.display_name for result in self.recognizers if result.person)
        return self.enrollee.display_name or next(names, "") or self.person_id

    @cached_property
    def rows(self) -> Sequence[_Row]:
        """Sorted by picture, in the order given."""
        order = {picture: number for number, picture in enumerate(self.enrollee.pictures)}
        return sorted((row for batch in self.batches for row in _rows(batch)), key=lambda row: order[row.picture])

    @cached_property
    def recognizers(self) -> Sequence[EnrollmentResult]:
        """Each recognizer's result over all calls."""
        joined: dict[str, EnrollmentResult] = {}
        for result in (result for batch in self.batches for result in batch.results):
            earlier = joined.get(result.recognizer)
            joined[result.recognizer] = _join(earlier, result) if earlier else result
        return [result for name, result in joined.items() if name]

    @cached_property
    def errors(self) -> Sequence[MarqueeError]:
        """Errors of the calls that failed."""
        return [batch.answer for batch in self.batches if isinstance(batch.answer, MarqueeError) and not batch.results]

    @property
    def states(self) -> Mapping[str, EnrollmentState]:
        """Worst state of each picture; one whose call failed has none."""
        worst: dict[str, EnrollmentState] = {}
        for picture, _, face in self.rows:
            worst[picture] = max(worst.get(picture, face.state), face.state, key=_STATES.index)
        return worst

    @property
    def exit(self) -> Exit:
        """OK if every recognizer that enrolls knows every picture."""
        failed = any(result.outcome not in (Outcome.OK, Outcome.SKIPPED) for result in self.recognizers)
        refused = EnrollmentState.REFUSED in self.states.values()
        return max([Exit.FAILED if failed or refused else Exit.OK, *map(exit_of, self.errors)])

    def to_dict(self) -> dict[str, Any]:
        """Convert to what `json.dumps` takes."""
        faces: dict[str, list[dict[str, Any]]] = {picture: [] for picture in self.enrollee.pictures}
        for picture, recognizer, face in self.rows:
            faces[picture].append({"recognizer": recognizer, **face.to_dict()})
        recognizers = [result.to_dict() for result in self.recognizers]
        for result in recognizers:
            del result["faces"]
        return {
            "person_id": self.person_id,
            "display_name": self.display_name,
            "pictures": [{"picture": picture, "faces": entries} for picture, entries in faces.items()],
            "recognizers": recognizers,
            "errors": [error_dict(error) for error in self.errors],
        }


def _reports(args: EnrollArgs, client: Client, progress: Progress) -> Iterator[_Report]:
    """Yield one per person. Stops after the first error that would apply to every other person."""
    for enrollee in args.enrollees:
        batches = []
        for batch in _batches(args, client, enrollee):
            progress.advance(len(batch.pictures))
            batches.append(batch)
            if isinstance(batch.answer, _SAME_FOR_ALL):
                yield _Report(enrollee, batches)
                return
        yield _Report(enrollee, batches)


def _batches(args: EnrollArgs, client: Client, enrollee: Enrollee) -> Iterator[Batch]:
    options: EnrollmentOptions = {
        **args.options,
        "display_name": enrollee.display_name,
        "person_id": enrollee.person_id,
    }
    return enroll_all(enrollee.pictures, partial(client.enroll, timeout=args.timeout, **options))


def _rows(batch: Batch) -> Iterator[_Row]:
    for result in batch.results:
        for picture, face in zip(batch.pictures, result.faces, strict=False):
            yield _Row(picture, result.recognizer, face)


def _join(earlier: EnrollmentResult, later: EnrollmentResult) -> EnrollmentResult:
    """Join the results of two calls; the worse outcome counts."""
    return replace(
        max(earlier, later, key=_badness),
        person=later.person or earlier.person,
        faces=earlier.faces + later.faces,
        model=later.model or earlier.model,
        cost_micro_usd=earlier.cost_micro_usd + later.cost_micro_usd,
        warnings=earlier.warnings + later.warnings,
    )


def _badness(result: EnrollmentResult) -> int:
    return _OUTCOMES.index(result.outcome) if result.outcome in _OUTCOMES else len(_OUTCOMES)


def _print(args: EnrollArgs, report: _Report, *, first: bool) -> None:
    if report.enrollee.skipped_files:
        print_note(report.enrollee.skipped_files)
    if args.output is ListOutput.JSON:
        print_json(report.to_dict(), one_line=len(args.enrollees) > 1)
    elif report.rows or report.recognizers:
        _print_table(report, skipped=first)
    for error in report.errors:
        print_error("" if isinstance(error, Unreachable) else report.display_name, error.message)


def _print_table(report: _Report, *, skipped: bool) -> None:
    """Print each picture at each recognizer, then what the recognizers know now.

    `skipped`: also print which recognizers do not enroll. They are the same for everybody.
    """
    folder = _folder(report)
    facts = "  ".join(clean(fact) for fact in (report.person_id, folder) if fact)
    print_line(Text(clean(report.display_name), "bold"), Text(f"  {facts}", "dim"))
    if report.rows:
        table = Table("Picture", "Recognizer", "Result")
        for picture, recognizer, face in report.rows:
            table.add_row(clean(picture.removeprefix(folder)), clean(recognizer), _face(face))
        table.print(2)
    for line in (line for result in report.recognizers for line in _summary(result, skipped=skipped)):
        print_line("  ", line)
    print_line()


def _folder(report: _Report) -> str:
    """Return the folder of all pictures if there are several, to print it once."""
    folders = {picture[: picture.rfind("/") + 1] for picture in report.enrollee.pictures}
    return folders.pop() if len(folders) == 1 and len(report.enrollee.pictures) > 1 else ""


def _face(face: EnrolledFace) -> list[Text]:
    if face.state is not EnrollmentState.REFUSED:
        state = Text(words(face.state), _STATE_STYLES.get(face.state, ""))
        return [state, *(Text(clean(warning), "yellow") for warning in face.warnings)]
    return [Text(clean(f"refused: {_reason(face.status)}"), "yellow")]


def _reason(status: Status) -> str:
    """Name the command's options where the server's message names fields of the request."""
    other = status.metadata or {}
    if "person_id" not in other or status.reason not in _OTHERS:
        return status.message
    return _OTHERS[status.reason].format(name=other.get("display_name", ""), id=other["person_id"])


def _summary(result: EnrollmentResult, *, skipped: bool) -> Iterator[Text]:
    name = clean(result.recognizer)
    if result.outcome is Outcome.SKIPPED:
        if skipped:
            yield Text(clean(f"{result.recognizer} skipped: {result.status.message}"), "dim")
    elif result.outcome not in (Outcome.OK, Outcome.PARTIAL):
        yield Text(clean(f"{result.recognizer} {words(result.outcome)}: {result.status.message}"), "red")
    if result.person:
        faces = count(result.person.face_count, "enrolled face")
        trained = ", in addition to its training data" if result.person.trained else ""
        yield Text(f"{name} has {faces} of {clean(result.person.display_name)}{trained}", "dim")
    for warning in result.warnings:
        yield Text(clean(f"{result.recognizer}: {warning}"), "yellow")


def _print_totals(reports: Sequence[_Report], enrollees: int) -> None:
    """Print one line for all people; there are fewer reports than enrollees after an error."""
    states = Counter(state for report in reports for state in report.states.values())
    failed = sum(len(report.enrollee.pictures) - len(report.states) for report in reports)
    if not states:
        return
    people = f"{len(reports):,} people" if len(reports) == enrollees else f"{len(reports):,} of {enrollees:,} people"
    counts = [f"{states[state]} {words(state)}" for state in EnrollmentState if states[state]]
    counts += [f"{failed} failed"] if failed else []
    pictures = count(sum(states.values()) + failed, "picture")
    print_line(f"{people}, {pictures}: {', '.join(counts)}")
