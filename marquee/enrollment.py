"""What EnrollmentService answers."""

from dataclasses import dataclass, field
from datetime import datetime

from marquee.enums import EnrollmentState, Outcome
from marquee.faces import Box, FaceQuality
from marquee.records import Record, Status
from marquee.results import Model
from marquee.v1 import enrollment_pb2 as pb


@dataclass(frozen=True, slots=True)
class Person(Record):
    """Somebody whom a recognizer knows."""

    person_id: str
    """Stays the same when the name changes."""
    display_name: str
    face_count: int
    """How many faces are enrolled, without those that the model was trained on."""
    trained: bool
    """Part of the trained model: cannot be removed but by training anew."""
    create_time: datetime | None
    """When the person was first enrolled; None for one who is only trained."""


@dataclass(frozen=True, slots=True)
class EnrolledFace(Record):
    """What became of a picture."""

    face_id: str
    """The recognizer's identifier of the face, unique among the person's; empty for one that was refused."""
    state: EnrollmentState
    status: Status
    """Why it was refused, and what to do."""
    box: Box | None
    """Where the face is."""
    quality: FaceQuality | None
    warnings: tuple[str, ...]
    """What a person should look at, though the face counts."""


@dataclass(frozen=True, slots=True)
class EnrollmentResult(Record):
    """What one recognizer learned."""

    recognizer: str
    """Its name; "gateway/name" for one behind another gateway."""
    status: Status
    outcome: Outcome
    """OK, or PARTIAL where some pictures were refused. SKIPPED: this recognizer does not enroll."""
    person: Person | None
    """As the recognizer knows them now."""
    faces: tuple[EnrolledFace, ...]
    """One per picture, in the order given; none where all failed, then status.causes has one each."""
    model: Model | None
    cost_micro_usd: int
    """Millionths of a US dollar."""
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Enrollment(Record):
    """What became of the pictures of one person, by recognizer."""

    request_id: str
    person_id: str
    """The one asked for, or the one made of the name."""
    results: tuple[EnrollmentResult, ...]
    """One per asked recognizer."""
    gateway: str
    """The name of the gateway that answered; empty for a single recognizer."""
    raw: pb.EnrollFacesResponse = field(repr=False, compare=False)
    """The message itself."""


@dataclass(frozen=True, slots=True)
class RemovalResult(Record):
    """What one recognizer forgot."""

    recognizer: str
    """Its name; "gateway/name" for one behind another gateway."""
    status: Status
    outcome: Outcome
    """OK, or PARTIAL where the person stays known from training."""
    removed_faces: int
    """0 when the person was not enrolled."""
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Removal(Record):
    """What each recognizer forgot."""

    request_id: str
    results: tuple[RemovalResult, ...]
    """One per asked recognizer."""
    gateway: str
    """The name of the gateway that answered; empty for a single recognizer."""
    raw: pb.RemovePersonResponse = field(repr=False, compare=False)
    """The message itself."""


@dataclass(frozen=True, slots=True)
class PeopleResult(Record):
    """Whom one recognizer knows."""

    recognizer: str
    """Its name; "gateway/name" for one behind another gateway."""
    status: Status
    outcome: Outcome
    """OK, or why nobody, or not everybody, is here."""
    people: tuple[Person, ...]
    """By person_id."""
