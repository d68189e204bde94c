"""The embeddings of a collection, searched exactly: one matrix product."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from local.rekognition.vision.similarity import similarity
from local.rekognition.vision.vision import Embedding

Match = tuple[str, float]
"""Whose embedding it is, and the similarity, 0 to 100."""


class FaceIndex:
    """Embeddings by name. Never changed: `with_rows` gives a new one."""

    def __init__(self, names: Sequence[str], rows: npt.NDArray[np.float32]) -> None:
        self.names = names
        self._rows = rows
        self._lengths = np.einsum("ij,ij->i", rows, rows)

    def with_rows(self, names: Sequence[str], rows: npt.NDArray[np.float32]) -> "FaceIndex":
        """An index that holds these, too."""
        return FaceIndex([*self.names, *names], np.concatenate([self._rows, rows]))

    def embedding(self, name: str) -> Embedding | None:
        """Somebody's embedding, where they are known."""
        place = self._places.get(name)
        return None if place is None else self._rows[place]

    def similarity(self, name: str, embedding: Embedding | None) -> float:
        """Of a known one's embedding to another, 0 where either is unknown."""
        mine = self.embedding(name)
        if mine is None or embedding is None:
            return 0.0
        return similarity(float(np.linalg.norm(mine - embedding)))

    def search(self, embedding: Embedding, most: int, least: float, but: str | None = None) -> list[Match]:
        """The `most` nearest with a similarity of `least` and more, most alike first, without `but`."""
        squared = self._lengths - 2 * (self._rows @ embedding) + embedding @ embedding
        count = min(most + (but is not None), len(self.names))
        nearest = np.argpartition(squared, count - 1)[:count] if count else np.empty(0, np.int64)
        ordered = nearest[np.argsort(squared[nearest], kind="stable")]
        distances = np.sqrt(np.maximum(squared[ordered], 0))
        found = [(self.names[row], similarity(float(apart))) for row, apart in zip(ordered, distances, strict=True)]
        return [match for match in found if match[0] != but and match[1] >= least][:most]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}
