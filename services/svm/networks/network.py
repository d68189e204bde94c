"""What a network makes of faces: vectors, and how two of them compare."""

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from services.runtime.images.faces import Face
from services.runtime.images.image import Pixels

Vector = npt.NDArray[np.float64]
Metric = Literal["l2", "cosine"]


class NetworkId(NamedTuple):
    """What files of vectors are marked with: only vectors of one network and version can be compared."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @classmethod
    def of(cls, mark: Any) -> "NetworkId":
        """Read a file's mark: name and version, or the name alone, which is version 1."""
        return cls(mark, "1") if isinstance(mark, str) else cls(**mark)


@dataclass(frozen=True)
class Network:
    """A network's name and measures. What computes its vectors is an Embedder."""

    id: NetworkId
    length: int
    """Components of a vector."""
    metric: Metric
    distance: float
    """Distance from an enrolled face, in the metric, beyond which a face is somebody else's."""
    evidence_group: str
    aligner: str
    """What turns a face upright for it: "dlib", or the "points" of the detector."""

    def __str__(self) -> str:
        return f"{self.id}, {self.length} numbers, aligned by {self.aligner}"

    def l2(self, distance: float | None = None) -> float:
        """Return the distance (L2) of two vectors that are so far apart in the metric; None: `distance`."""
        distance = self.distance if distance is None else distance
        return distance if self.metric == "l2" else math.sqrt(2 * distance)


DLIB = Network(NetworkId("dlib-resnet-v1", "1"), 128, "l2", 0.55, "dlib-resnet-v1", "dlib")
"""dlib's ResNet, behind dlib's five points.

Its authors draw the line between two people at 0.6; one that is drawn between many is stricter.
"""


class Embedder(Protocol):
    """A network, ready to run. Thread-safe."""

    network: Network

    def embed(self, pixels: Pixels, face: Face) -> Vector:
        """Return the vector [length] of a face in an RGB picture; its own length is 1 if the metric is cosine."""
