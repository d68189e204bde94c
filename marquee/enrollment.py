"""Responses of EnrollmentService: enrollments, removals, and lists of people and of their faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from marquee.enums import EnrollmentState, Outcome
from marquee.errors import error_of
from marquee.records import Cell, Record, Status, Tabular
from marquee.results import Box, FaceQuality, Model
from marquee.v1 import enrollment_pb2 as pb

# ruff: noqa: PLC0415 - rows are made of these records


@dataclass(frozen=True, slots=True)
class Enrollment(Tabular):
    """Result of enrolling one person's pictures, by recognizer."""

    request_id: str
    person_id: str
    """The requested one, or the one made from the name."""
    results: tuple[EnrollmentResult, ...]
    """One per requested recognizer."""
    gateway: str
    """Name of the responding gateway; empty for a single recognizer."""
    raw: pb.EnrollFacesResponse = field(repr=False, compare=False)
    """The message itself."""

    def rows(self) -> list[dict[str, Cell]]:
        """Return a row for each picture at each recognizer; see marquee.rows.enrollment_rows."""
        from marquee.rows import enrollment_rows

        return enrollment_rows(self)


@dataclass(frozen=True, slots=True)
class EnrollmentResult(Record):
    """What one recognizer enrolled."""

    recognizer: str
    """Its name; "gateway/name" behind another gateway."""
    status: Status
    outcome: Outcome
    """OK, or PARTIAL if some or all pictures were refused. SKIPPED: this recognizer does not enroll."""
    person: Person | None
    """The person as the recognizer knows them now."""
    faces: tuple[EnrolledFace, ...]
    """One per picture, in the order given; none if the recognizer failed."""
    model: Model | None
    cost_micro_usd: int
    """Millionths of a US dollar."""
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EnrolledFace(Record):
    """Result for one picture."""

    face_id: str
    """The recognizer's identifier of the face, unique for the person; empty if refused."""
    state: EnrollmentState
    status: Status
    """Why the picture was refused, and what to do."""
    box: Box | None
    """Location of the face."""
    quality: FaceQuality | None
    warnings: tuple[str, ...]
    """What to check, although the face is enrolled."""


@dataclass(frozen=True, slots=True)
class Person(Record):
    """Somebody whom a recognizer knows."""

    person_id: str
    """Stays the same when the name changes."""
    display_name: str
    face_count: int
    """Number of enrolled faces, not counting those that the model was trained on."""
    trained: bool
    """Part of the trained model: can only be removed by retraining."""
    create_time: datetime | None
    """When the person was first enrolled; None if only trained."""


@dataclass(frozen=True, slots=True)
class Removal(Record):
    """Result of removing a person, by recognizer."""

    request_id: str
    results: tuple[RemovalResult, ...]
    """One per requested recognizer."""
    gateway: str
    """Name of the responding gateway; empty for a single recognizer."""
    raw: pb.RemovePersonResponse = field(repr=False, compare=False)
    """The message itself."""


@dataclass(frozen=True, slots=True)
class RemovalResult(Record):
    """What one recognizer removed."""

    recognizer: str
    """Its name; "gateway/name" behind another gateway."""
    status: Status
    outcome: Outcome
    """OK, or PARTIAL if the person remains known from training."""
    removed_faces: int
    """0 if the person was not enrolled."""
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PeopleResult(Tabular):
    """The people whom one recognizer knows."""

    recognizer: str
    """Its name; "gateway/name" behind another gateway."""
    status: Status
    outcome: Outcome
    """OK, or why people are missing."""
    people: tuple[Person, ...]
    """Sorted by person_id."""

    def rows(self) -> list[dict[str, Cell]]:
        """Return a row for each person; see marquee.rows.people_rows."""
        from marquee.rows import people_rows

        return people_rows(self)


@dataclass(frozen=True, slots=True)
class FaceId(Record):
    """A face at one recognizer."""

    recognizer: str
    """Its name; "gateway/name" behind another gateway."""
    face_id: str


@dataclass(frozen=True, slots=True)
class FaceKey(Record):
    """What names an enrolled face: one of the two."""

    face: FaceId | None = None
    content_sha256: str = ""
    """SHA-256 of the picture that it was enrolled from: its faces at all recognizers."""


@dataclass(frozen=True, slots=True)
class FaceRemoval(Record):
    """Result of removing faces, by recognizer."""

    request_id: str
    results: tuple[FaceRemovalResult, ...]
    """One per recognizer that any of the keys concerns."""
    gateway: str
    """Name of the responding gateway; empty for a single recognizer."""
    raw: pb.RemoveFacesResponse = field(repr=False, compare=False)
    """The message itself."""


@dataclass(frozen=True, slots=True)
class FaceRemovalResult(Record):
    """Which faces one recognizer removed."""

    recognizer: str
    """Its name; "gateway/name" behind another gateway."""
    status: Status
    outcome: Outcome
    """OK, or PARTIAL if any face could not be removed."""
    faces: tuple[RemovedFace, ...]
    """One per key that concerns the recognizer, in the order given."""
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemovedFace(Record):
    """Result for one key."""

    key: FaceKey
    """The requested one."""
    status: Status
    """OK, also if nothing was left to remove."""
    removed_faces: int
    """0 if none was enrolled."""


@dataclass(frozen=True, slots=True)
class FacesResult(Tabular):
    """A person's faces at one recognizer."""

    recognizer: str
    """Its name; "gateway/name" behind another gateway."""
    status: Status
    outcome: Outcome
    """OK, or why faces are missing."""
    person: Person | None
    """None if the recognizer does not know the person."""
    faces: tuple[PersonFace, ...]
    """In the order of enrollment, as far as the recognizer knows it."""

    def rows(self) -> list[dict[str, Cell]]:
        """Return a row for each face; see marquee.rows.faces_rows."""
        from marquee.rows import faces_rows

        return faces_rows(self)


@dataclass(frozen=True, slots=True)
class PersonFace(Record):
    """An enrolled face, and where it came from."""

    face_id: str
    """The recognizer's identifier of the face."""
    content_sha256: str
    """SHA-256 of the picture; empty if unknown, as for faces enrolled by earlier versions."""
    s3_object: S3Object | None
    """Object that the picture was read from; None if it came as bytes, or unknown."""
    create_time: datetime | None
    """When it was enrolled; None if unknown."""


@dataclass(frozen=True, slots=True)
class S3Object(Record):
    """An object in S3."""

    bucket: str
    key: str
    version_id: str
    """Empty: the current one at that time."""


def check_enrolled(enrollment: Enrollment) -> Enrollment:
    """Return the enrollment if any recognizer took any of the pictures, or if there were none.

    Otherwise raises the error that the pictures were refused for.
    """
    results = [result for result in enrollment.results if result.faces]
    if {face.state for result in results for face in result.faces} != {EnrollmentState.REFUSED}:
        return enrollment
    causes = {result.recognizer: _join(_numbered([face.status for face in result.faces])) for result in results}
    raise error_of(_join(causes), enrollment.request_id, enrollment)


def _numbered(statuses: Sequence[Status]) -> dict[str, Status]:
    return {f"picture {number}": status for number, status in enumerate(statuses, 1)}


def _join(statuses: Mapping[str, Status]) -> Status:
    """Join refusals, by name, into one status: what they have in common, and each of them as a cause."""
    codes = {status.code for status in statuses.values()}
    reasons = {status.reason for status in statuses.values()}
    messages = {status.message for status in statuses.values()}
    metadata = [set((status.metadata or {}).items()) for status in statuses.values()]
    named = (f"{name}: {status.message}" for name, status in statuses.items())
    return Status(
        code=codes.pop() if len(codes) == 1 else "INVALID_ARGUMENT",
        message=messages.pop() if len(messages) == 1 else " ".join(["No picture was enrolled.", *named]),
        reason=reasons.pop() if len(reasons) == 1 else "NO_FACE_ENROLLED",
        metadata=dict(set.intersection(*metadata)) or None,
        causes=tuple(statuses.values()),
    )
