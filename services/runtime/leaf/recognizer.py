"""Protocols of a recognizer and of an enroller, and what a call asks of them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from marquee.v1 import enrollment_pb2, recognizer_pb2
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

    async def people(self, page: Page) -> tuple[list[enrollment_pb2.Person], str]:
        """Return the page's people sorted by person_id, and the next page's token, empty after the last page."""
