"""What became of one person's pictures, over all calls that it took."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from marquee.cli.output import error_dict
from marquee.cli.run.attempts import Exit, exit_of
from marquee.cli.run.batches import Batch
from marquee.cli.run.outcomes import results_of
from marquee.cli.subjects import Subject
from marquee.enrollment import EnrolledFace, Enrollment, EnrollmentResult
from marquee.enums import EnrollmentState, Outcome
from marquee.errors import MarqueeError

_WORST_LAST = (
    *(EnrollmentState.ALREADY_ENROLLED, EnrollmentState.ENROLLED),
    *(EnrollmentState.REFUSED, EnrollmentState.UNSPECIFIED),
)
_WORSE = {Outcome.OK: 0, Outcome.SKIPPED: 1, Outcome.PARTIAL: 2}
"""All others are worse still."""


class Row(NamedTuple):
    """What one recognizer made of one picture."""

    picture: str
    recognizer: str
    """Empty for a picture that could not be read, or for a recognizer asked alone."""
    face: EnrolledFace


@dataclass(frozen=True)
class Report:
    """One person's."""

    subject: Subject
    batches: Sequence[Batch]

    @property
    def person_id(self) -> str:
        """The one that the server tells, else the one asked for."""
        told = (batch.answer.person_id for batch in self.batches if isinstance(batch.answer, Enrollment))
        return next(told, self.subject.person_id)

    @property
    def display_name(self) -> str:
        """The person's name, as far as it is known."""
        told = (result.person.display_name for result in self.recognizers if result.person)
        return self.subject.display_name or next(told, "") or self.person_id

    @cached_property
    def rows(self) -> Sequence[Row]:
        """By picture, in the order given."""
        order = {picture: number for number, picture in enumerate(self.subject.pictures)}
        return sorted((row for batch in self.batches for row in _rows(batch)), key=lambda row: order[row.picture])

    @cached_property
    def recognizers(self) -> Sequence[EnrollmentResult]:
        """What each named recognizer says of all calls together."""
        known: dict[str, EnrollmentResult] = {}
        for batch in self.batches:
            for result in results_of(batch):
                before = known.get(result.recognizer)
                known[result.recognizer] = _both(before, result) if before else result
        return [result for name, result in known.items() if name]

    @cached_property
    def errors(self) -> Sequence[MarqueeError]:
        """Of the calls that failed."""
        return [
            batch.answer for batch in self.batches if isinstance(batch.answer, MarqueeError) and not results_of(batch)
        ]

    @property
    def states(self) -> Mapping[str, EnrollmentState]:
        """The worst that became of each picture; one whose call failed is not there."""
        worst: dict[str, EnrollmentState] = {}
        for picture, _, face in self.rows:
            worst[picture] = max(worst.get(picture, face.state), face.state, key=_WORST_LAST.index)
        return worst

    @property
    def exit(self) -> Exit:
        """OK where every recognizer that enrolls knows every picture."""
        failed = any(result.outcome not in (Outcome.OK, Outcome.SKIPPED) for result in self.recognizers)
        refused = EnrollmentState.REFUSED in self.states.values()
        return max([Exit.FAILED if failed or refused else Exit.OK, *map(exit_of, self.errors)])

    def to_dict(self) -> dict[str, Any]:
        """What `json.dumps` takes."""
        faces: dict[str, list[dict[str, Any]]] = {picture: [] for picture in self.subject.pictures}
        for picture, recognizer, face in self.rows:
            faces[picture].append({"recognizer": recognizer, **face.to_dict()})
        recognizers = [result.to_dict() for result in self.recognizers]
        for result in recognizers:
            del result["faces"]
        return {
            "person_id": self.person_id,
            "display_name": self.display_name,
            "pictures": [{"picture": picture, "faces": found} for picture, found in faces.items()],
            "recognizers": recognizers,
            "errors": [error_dict(error) for error in self.errors],
        }


def _rows(batch: Batch) -> Iterator[Row]:
    results = [result for result in results_of(batch) if result.faces]
    for number, picture in enumerate(batch.pictures):
        for result in results:
            yield Row(picture, result.recognizer, result.faces[number])


def _both(before: EnrollmentResult, after: EnrollmentResult) -> EnrollmentResult:
    """Two calls' as one; the worse outcome counts."""
    return replace(
        max(before, after, key=lambda result: _WORSE.get(result.outcome, len(_WORSE))),
        person=after.person or before.person,
        faces=before.faces + after.faces,
        model=after.model or before.model,
        cost_micro_usd=before.cost_micro_usd + after.cost_micro_usd,
        warnings=before.warnings + after.warnings,
    )
