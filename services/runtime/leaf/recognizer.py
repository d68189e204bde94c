"""Protocols of a recognizer and an enroller, their input, and the refusals that enrollers share."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from marquee.v1 import enrollment_pb2, recognizer_pb2
from services.runtime import status
from services.runtime.errors import DomainError, FaceAlreadyEnrolled, NameTaken, NoFace, PersonNotFound, SeveralFaces
from services.runtime.images.image import Image
from services.runtime.requests import Feature


@dataclass(frozen=True)
class Options:
    """Validated options of a recognition."""

    request_id: str
    features: tuple[Feature, ...]
    """Requested features that the recognizer supports; never empty."""
    max_labels: int
    min_score: float
    """The server drops lower scores itself; a recognizer may use this to save work."""
    collection: str
    include_embeddings: bool
    deadline: float
    """On time.monotonic()'s clock."""
    face_boxes: Sequence[recognizer_pb2.BoundingBox] = ()
    """Faces to describe, in this order, instead of looking for some; only for recognizers that take them."""

    def remaining(self) -> float:
        """Return the seconds until the caller gives up; negative once it has."""
        return self.deadline - time.monotonic()


class Recognizer(Protocol):
    """Something that recognizes. `serve` makes a gRPC server of it."""

    name: str

    @property
    def features(self) -> tuple[Feature, ...]:
        """Supported features; may change with the model."""

    async def load(self) -> None:
        """Get ready. The server is NOT_SERVING until this returns, and exits if it raises."""

    async def recognize(self, image: Image, options: Options) -> recognizer_pb2.RecognizerResult:
        """Recognize one picture.

        Return a result with faces, labels, model and so on; the server fills in name, outcome, performed
        features and total time, sorts, and filters by score. Raise a DomainError if nothing at all could be
        recognized.
        """

    def describe(self) -> recognizer_pb2.Recognizer:
        """Return models and prices for ListRecognizers; the server fills in name, features and an unset state.

        With any state but READY the server is NOT_SERVING, though it keeps taking calls. Must be quick.
        """

    async def close(self) -> None:
        """Release all resources."""


@dataclass(frozen=True)
class Enrollment:
    """A person and pictures of them, validated."""

    person_id: str
    display_name: str
    """Empty: keep the current name."""
    images: Sequence[Image]
    collection: str
    """Empty: the operator's default."""
    allow_similar: bool
    """Whether to enroll a face that is taken for another person's."""
    is_derived: bool = False
    """Whether person_id was made from display_name, so that it may be another person's of that name."""
    allow_different: bool = False
    """Whether to enroll a face that does not match the known person's, though person_id is derived."""

    def new_name(self, name: str) -> str:
        """Return the display name from now on of the person called `name`; empty: of somebody new."""
        return name if name and self.is_derived else self.display_name or name


@dataclass(frozen=True)
class FaceRemoval:
    """Faces to remove, validated."""

    faces: Sequence[enrollment_pb2.FaceKey]
    """All of them this recognizer's, or a picture's."""
    person_id: str
    """Whose faces they must be. Empty: anybody's."""
    collection: str
    """Empty: the operator's default."""


@dataclass(frozen=True)
class Page:
    """The page of a list to return."""

    size: int
    token: str
    """The previous page's token, which the enroller made; empty: the first page."""
    collection: str


class Enroller(Protocol):
    """Something that learns faces without training. `serve` offers it as EnrollmentService.

    Each method raises a DomainError if nothing could be tried; the server fills in the results' name, status and
    outcome.
    """

    async def enroll(self, enrollment: Enrollment) -> enrollment_pb2.EnrollmentResult:
        """Learn the faces. Return one entry in `faces` per picture, also for each that is refused."""

    async def remove(self, person_id: str, collection: str) -> enrollment_pb2.RemovalResult:
        """Remove the person. Removing an unknown person is a no-op."""

    async def remove_faces(self, removal: FaceRemoval) -> enrollment_pb2.FaceRemovalResult:
        """Remove the faces. Return one entry in `faces` per key, also for each without a face: 0 were removed."""

    async def people(self, page: Page) -> tuple[list[enrollment_pb2.Person], str]:
        """Return the page's people sorted by person_id, and the next page's token, empty after the last page."""

    async def faces(self, person_id: str, page: Page) -> tuple[enrollment_pb2.FacesResult, str]:
        """Return the page's faces in the order of enrollment, and the next page's token, empty after the last page.

        The person is absent if unknown.
        """


def refused_face(error: DomainError) -> enrollment_pb2.EnrolledFace:
    """Return the entry of a picture that is not enrolled."""
    return enrollment_pb2.EnrolledFace(
        state=enrollment_pb2.ENROLLMENT_STATE_REFUSED, status=status.from_exception(error)
    )


def check_one_face(faces: Sequence[object]) -> None:
    """Raise NoFace or SeveralFaces unless there is exactly one."""
    if not faces:
        raise NoFace("There is no face in the picture. Use one in which the person looks into the camera.")
    if len(faces) > 1:
        raise SeveralFaces(f"There are {len(faces)} faces in the picture. Crop it to the person's face.")


def face_already_enrolled(person_id: str, display_name: str) -> FaceAlreadyEnrolled:
    """Return the error for a face that is taken for this person's, who is not the one being enrolled."""
    return FaceAlreadyEnrolled(
        f"This face is already enrolled as {display_name} ({person_id}). Enroll it under that person_id, remove that "
        "person first, or set allow_similar if they are two people.",
        person_id=person_id,
        display_name=display_name,
    )


def name_taken(person_id: str, display_name: str) -> NameTaken:
    """Return the error for a face that does not match the known person of that name."""
    return NameTaken(
        f"The name is taken: this face does not match those of {display_name} ({person_id}). Set that person_id, or "
        "allow_different, if it shows the same person, and another person_id if it shows somebody else.",
        person_id=person_id,
        display_name=display_name,
    )


def no_longer_known(person_id: str) -> str:
    """Return the warning about a person whose last face was removed."""
    return f"{person_id} has no face left and is no longer known."


def person_not_found(person_id: str) -> PersonNotFound:
    """Return the error for an unknown person whose pictures or display name are missing."""
    return PersonNotFound(
        f"There is no person with person_id {person_id}. Send pictures and a display_name to enroll somebody new."
    )
