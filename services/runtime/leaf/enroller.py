"""What it takes to learn faces without training: the Protocol, and what a call asks of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from marquee.v1 import enrollment_pb2 as pb
from services.runtime.images.image import Image


@dataclass(frozen=True)
class Enrollment:
    """A person and pictures of them, already checked."""

    person_id: str
    display_name: str
    """Empty: as it is."""
    images: Sequence[Image]
    collection: str
    """Empty: the operator's default."""
    allow_similar: bool
    """Also a face that is taken for another person's."""


@dataclass(frozen=True)
class Page:
    """A part of a list."""

    size: int
    token: str
    """Where the page before ended, in the enroller's own words; empty: the beginning."""
    collection: str


class Enroller(Protocol):
    """Something that learns faces. `serve` offers it as EnrollmentService.

    Each method raises a DomainError where nothing at all could be done; the server fills in
    the results' name, status and outcome.
    """

    async def enroll(self, enrollment: Enrollment) -> pb.EnrollmentResult:
        """Learns the faces, each of which it refuses alone: `faces` has one entry per picture."""

    async def remove(self, person_id: str, collection: str) -> pb.RemovalResult:
        """Forgets the person; whom it does not know it has nothing to forget of."""

    async def people(self, page: Page) -> tuple[list[pb.Person], str]:
        """The people by person_id, and the next page's token or an empty one."""
