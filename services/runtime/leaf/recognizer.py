"""What a recognizer is."""

import time
from dataclasses import dataclass
from typing import Protocol

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.images.image import Image
from services.runtime.requests import Feature


@dataclass(frozen=True)
class Options:
    """What a call asks of a recognizer, already checked."""

    request_id: str
    features: tuple[Feature, ...]
    """The asked features that the recognizer can do; never empty."""
    max_labels: int
    min_score: float
    """The server leaves out lower scores itself; a recognizer may use it to save work."""
    collection: str
    include_embeddings: bool
    deadline: float
    """On time.monotonic()'s clock."""

    def remaining(self) -> float:
        """Seconds until the caller gives up; negative when it already has."""
        return self.deadline - time.monotonic()


class Recognizer(Protocol):
    """Something that recognizes. `serve` makes a gRPC server of it."""

    name: str

    @property
    def features(self) -> tuple[Feature, ...]:
        """What it can do; may change with its model."""

    async def load(self) -> None:
        """Gets ready. The server is NOT_SERVING until this returns, and ends when it raises."""

    async def recognize(self, image: Image, options: Options) -> pb.RecognizerResult:
        """Recognizes one picture.

        Returns a result with faces, labels, model and the like; the server fills in name, outcome,
        performed features and total time, sorts, and filters by score. Raises a DomainError where
        nothing at all could be recognized.
        """

    def describe(self) -> pb.Recognizer:
        """Its models and prices for ListRecognizers; the server fills in name, features, and a state that is not set.

        With another state than READY the server is NOT_SERVING, though it goes on taking calls. Must be quick.
        """

    async def close(self) -> None:
        """Lets go of what it holds."""
