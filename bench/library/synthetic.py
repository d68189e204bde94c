"""Synthetic faces: vectors of people in pictures, as hard to tell apart as wanted, the same for the same seed.

A person is a point, and a face lies around it: both normally distributed, with variances that fall from dimension to
dimension as those of trained networks do. How far from the point differs by person and by face, so that some people
vary more than others and some faces are bad. Vectors are of length 1. The noise is set by bisection such that the equal
error rate of pairs, which are compared by distance, is the one asked for: as many pairs of one person are farther apart
than a distance as pairs of two people are nearer.

How often people are seen falls with their rank, as 1 / (rank + 20). A picture has one to eight faces, of different
people, most of whom are of one circle.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from services.library.faces.comparison import equal_error_rate

DIMENSIONS = 128
_DECAY = 0.44
"""Power by which deviations fall with the dimension. Distances of two people then deviate as the SVM's do."""
_PERSON_SPREAD, _FACE_SPREAD = 0.15, 0.25
"""Deviations of the logarithm of the noise, by person and by face."""
_PAIRS = 20_000
_STEPS = 16
_OFFSET = 20
_CIRCLE = 12
_STRANGER_SHARE = 0.2
_MORE_SHARE = 0.45
_MOST_FACES = 8
_BLOCK = 8192
"""Pictures made by one random generator."""

Vectors = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]


class Faces(NamedTuple):
    """Some faces, those of a picture one after the other."""

    vectors: Vectors
    people: Numbers
    pictures: Numbers


@dataclass(frozen=True)
class Crowd:
    """People of whom faces are made. `eer` is the equal error rate of verification."""

    people: int
    eer: float
    seed: int = 0

    def batches(self, count: int) -> Iterator[Faces]:
        """Yield faces, some thousands at a time, until there are so many."""
        made = block = 0
        while made < count:
            faces = self._block(block)
            left = count - made
            yield Faces(faces.vectors[:left], faces.people[:left], faces.pictures[:left])
            made, block = made + len(faces.people), block + 1

    def faces(self, count: int) -> Faces:
        """Return so many faces at once."""
        vectors, people, pictures = zip(*self.batches(count), strict=True)
        return Faces(np.concatenate(vectors), np.concatenate(people), np.concatenate(pictures))

    @property
    def noise(self) -> float:
        """Deviation of a face from its person, relative to that of people from each other."""
        return _noise_of(self.eer)

    def _block(self, block: int) -> Faces:
        random = np.random.default_rng((self.seed, 1, block))
        sizes = np.minimum(random.geometric(1 - _MORE_SHARE, _BLOCK), _MOST_FACES)
        first = self._draw(random, _BLOCK)
        pictures = np.repeat(np.arange(_BLOCK), sizes)
        circles = self._circles[np.repeat(first, sizes)]
        friends = circles[np.arange(len(circles)), random.integers(0, circles.shape[1], len(circles))]
        is_stranger = random.random(len(friends)) < _STRANGER_SHARE
        people = np.where(is_stranger, self._draw(random, len(friends)), friends)
        people[np.concatenate(([0], np.cumsum(sizes)[:-1]))] = first
        _, kept = np.unique(pictures * self.people + people, return_index=True)
        pictures, people = pictures[kept], people[kept]
        vectors = _faces(self._centres[people], self._spreads[people], self.noise, random)
        return Faces(vectors, people, pictures + block * _BLOCK)

    def _draw(self, random: np.random.Generator, count: int) -> Numbers:
        return np.asarray(np.searchsorted(self._shares, random.random(count) * self._shares[-1], side="right"))

    @cached_property
    def _centres(self) -> Vectors:
        return _points(np.random.default_rng((self.seed, 2)), self.people)

    @cached_property
    def _spreads(self) -> Vectors:
        return np.random.default_rng((self.seed, 3)).lognormal(0, _PERSON_SPREAD, self.people).astype(np.float32)

    @cached_property
    def _shares(self) -> npt.NDArray[np.float64]:
        return np.cumsum(1 / (np.arange(self.people) + _OFFSET))

    @cached_property
    def _circles(self) -> Numbers:
        """The circle of each person, [people, size]."""
        order = np.random.default_rng((self.seed, 4)).permutation(self.people)
        size = min(_CIRCLE, self.people)
        circles = order[: self.people // size * size].reshape(-1, size)
        places = np.argsort(order)
        return circles[np.minimum(places // size, len(circles) - 1)]


@cache
def _noise_of(eer: float) -> float:
    pairs, low, high = _Pairs(), 0.05, 3.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if equal_error_rate(*pairs.distances(middle)) < eer else (low, middle)
    return (low + high) / 2


class _Pairs:
    """Pairs of faces, with the same draws whatever the noise is."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self._points = _points(random, _PAIRS)
        spreads = random.lognormal(0, _PERSON_SPREAD, _PAIRS)
        self._noises = [
            _points(random, _PAIRS) * (spreads * random.lognormal(0, _FACE_SPREAD, _PAIRS))[:, np.newaxis]
            for _ in range(2)
        ]

    def distances(self, noise: float) -> tuple[Vectors, Vectors]:
        """Return distances of pairs of faces of one person, and of two people."""
        one, other = (_normal(self._points + np.float32(noise) * own) for own in self._noises)
        return np.linalg.norm(one - other, axis=1), np.linalg.norm(one - np.roll(other, 1, axis=0), axis=1)


def sample_distances(noise: float) -> tuple[Vectors, Vectors]:
    """Return distances of pairs of faces of one person, and of two people."""
    return _Pairs().distances(noise)


def _points(random: np.random.Generator, count: int) -> Vectors:
    return random.standard_normal((count, DIMENSIONS), dtype=np.float32) * _DEVIATIONS


def _faces(centres: Vectors, spreads: Vectors, noise: float, random: np.random.Generator) -> Vectors:
    scale = noise * spreads * random.lognormal(0, _FACE_SPREAD, len(centres)).astype(np.float32)
    return _normal(centres + _points(random, len(centres)) * scale[:, np.newaxis])


def _normal(vectors: npt.NDArray[np.floating]) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


_DEVIATIONS = (np.arange(1, DIMENSIONS + 1) ** -_DECAY).astype(np.float32)
