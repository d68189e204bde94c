"""Whom a face shows, by those near it: what a machine says where somebody has decided who some of them are. Pure."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

import numpy as np

from marquee.library.v1.people_pb2 import BAND_ASSIGN, BAND_SUGGEST, Band
from services.library.grouping import clustering
from services.library.grouping.bands import Bands
from services.library.grouping.clustering import Cluster, Vector, distance_from

_CLEAR = 0.85
"""How much nearer the nearest person is, relative to the next one, where there are several."""
_MOST_SUGGESTIONS = 3


class Known(NamedTuple):
    """A face nearby that is known."""

    person_id: UUID
    distance: float
    vector: Vector
    decided: bool
    """Whether somebody has decided whom it shows; else it is in a cluster of which somebody has."""


class Said(NamedTuple):
    """What a machine says of a face."""

    score: float
    band: Band.ValueType


def opinions(
    vector: Vector, near: Sequence[Known], cluster: Cluster | None, members: Collection[UUID], bands: Bands
) -> dict[UUID, Said]:
    """Return what follows for a face from known ones nearby, and from its cluster's, by person with their number.

    Faces that nobody has decided name no other face, else one mistake would lead to the next: they are only worth a
    question.
    """
    decided = [one for one in near if one.decided]
    distances = _distances(decided)
    found = {
        person_id: Said(score(distance, bands), BAND_SUGGEST)
        for person_id, distance in _distances(near).items()
        if distance <= bands.suggest
    }
    named, distance = _of_cluster(vector, cluster, members)
    if named is None and len(members) > 1:
        named, distance = _clearly_nearest({one: distances[one] for one in members if one in distances}, bands)
    if named is None and not members:
        named, distance = _of_neighbours(vector, decided, distances, bands)
    best = sorted(found, key=lambda one: -found[one].score)[:_MOST_SUGGESTIONS]
    told = {one: found[one] for one in best}
    if named is not None:
        told[named] = Said(score(distance, bands), BAND_ASSIGN)
    for one in members:
        told.setdefault(one, Said(score(bands.suggest, bands), BAND_SUGGEST))
    return told


def score(distance: float, bands: Bands) -> float:
    """Return the score of a distance: 1 of none, 0.5 of the greatest that is worth a question."""
    return max(0.0, 1 - distance / (2 * bands.suggest))


def _distances(near: Iterable[Known]) -> dict[UUID, float]:
    return {person_id: min(one.distance for one in its) for person_id, its in _by_person(near).items()}


def _by_person(near: Iterable[Known]) -> Mapping[UUID, list[Known]]:
    found: defaultdict[UUID, list[Known]] = defaultdict(list)
    for one in near:
        found[one.person_id].append(one)
    return found


def _of_cluster(vector: Vector, cluster: Cluster | None, members: Collection[UUID]) -> tuple[UUID | None, float]:
    if cluster is None or len(members) != 1:
        return None, 0.0
    return next(iter(members)), distance_from(vector, cluster.middle)


def _clearly_nearest(distances: Mapping[UUID, float], bands: Bands) -> tuple[UUID | None, float]:
    """Return the person who is near enough, unless another one is nearly as near."""
    nearest, *others = sorted(distances, key=distances.__getitem__) or (None,)
    if nearest is None or distances[nearest] > bands.core:
        return None, 0.0
    is_clear = all(distances[nearest] <= _CLEAR * distances[one] for one in others)
    return (nearest, distances[nearest]) if is_clear else (None, 0.0)


def _of_neighbours(
    vector: Vector, near: Sequence[Known], distances: Mapping[UUID, float], bands: Bands
) -> tuple[UUID | None, float]:
    """Return whom a face shows that is in no named cluster: by one very near face, or by the middle of several."""
    if (found := _clearly_nearest(distances, bands))[0] is not None:
        return found
    votes = Counter(one.person_id for one in near if one.distance <= bands.vote)
    middles = {
        person_id: Cluster(len(its), np.mean([one.vector for one in its], axis=0))
        for person_id, its in _by_person(near).items()
        if len(its) >= clustering.VOTES
    }
    named = clustering.joined(vector, votes, middles, bands)
    return (named, distance_from(vector, middles[named].middle)) if named is not None else (None, 0.0)
