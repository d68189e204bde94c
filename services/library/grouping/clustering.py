"""How a face finds its cluster among its nearest neighbours: joins one, begins one, or waits for more faces.

A cluster is joined where three neighbours vote for it and its middle is near: many faces together tell more than one,
so the middle decides, and a chain of faces, each near to the next, leads nowhere. One is begun by three faces that lie
near to each other, all of them. No cluster ever takes in another.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

import numpy as np
import numpy.typing as npt

from services.library.grouping.bands import Bands

Vector = npt.NDArray[np.float32]

NEIGHBOURS = 24
"""Looked at for a face."""
VOTES = 3
"""Of neighbours, for a cluster to be joined; of faces, for one to begin."""


class Neighbour(NamedTuple):
    """A face near to the one that is looked at. Those of its own picture are none."""

    face_id: UUID
    picture_id: UUID
    cluster_id: UUID | None
    distance: float
    vector: Vector
    person_id: UUID | None = None
    """Whom somebody has decided that it shows."""
    refused: frozenset[UUID] = frozenset()
    """Whom it does not show."""


class Cluster(NamedTuple):
    """A cluster as far as joining it goes."""

    size: int
    middle: Vector


def voted(neighbours: Iterable[Neighbour], bands: Bands) -> Counter[UUID]:
    """Return how many near neighbours are in each cluster."""
    near = (one.cluster_id for one in neighbours if one.distance <= bands.vote)
    return Counter(cluster_id for cluster_id in near if cluster_id is not None)


def joined(vector: Vector, votes: Mapping[UUID, int], clusters: Mapping[UUID, Cluster], bands: Bands) -> UUID | None:
    """Return the cluster that a face joins, of those that it may: the nearest with enough votes."""
    distances = {
        cluster_id: distance_from(vector, cluster.middle)
        for cluster_id, cluster in clusters.items()
        if votes[cluster_id] >= min(VOTES, cluster.size)
    }
    nearest = min(distances, key=distances.__getitem__, default=None)
    return nearest if nearest is not None and distances[nearest] <= bands.assign else None


def begun(face: Neighbour, neighbours: Iterable[Neighbour], bands: Bands) -> list[Neighbour]:
    """Return with whom a face begins a cluster, itself first, then nearest first; nobody: it waits."""
    group = [face]
    for one in neighbours:
        if one.cluster_id is None and all(_fit(one, other, bands) for other in group):
            group.append(one)
    return group if len(group) >= VOTES else []


def are_apart(person_id: UUID | None, refused: Collection[UUID], other: UUID | None, others: Collection[UUID]) -> bool:
    """Return whether somebody has told two faces from each other: by deciding, or refusing, whom they show."""
    return (
        (person_id is not None and other is not None and person_id != other) or person_id in others or other in refused
    )


def distance_from(vector: Vector, middle: Vector) -> float:
    """Return how far a face is from a mean of faces, which is shorter than they are: only its direction counts."""
    length = float(np.linalg.norm(middle))
    scale = float(np.linalg.norm(vector)) / length if length else 0.0
    return float(np.linalg.norm(vector - middle * np.float32(scale)))


def _fit(one: Neighbour, other: Neighbour, bands: Bands) -> bool:
    return (
        one.picture_id != other.picture_id
        and not are_apart(one.person_id, one.refused, other.person_id, other.refused)
        and float(np.linalg.norm(one.vector - other.vector)) <= bands.core
    )
