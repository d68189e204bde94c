"""Bands: how near two faces of a vector space have to be to be taken for one person, or to be worth a question.

They are measured, as nobody can tell what a network's distances mean. Chance likeness falls off fast: the logarithm of
the distance within which pairs of two people lie is near enough a straight line over the normal quantile of their
share. So a few thousand pairs tell how near one in a million lies.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.library.database.people_tables import used_model, vector_model

Distances = npt.NDArray[np.floating]

_CORE, _VOTE = 0.93, 1.13
_ASSIGN_SHARE, _SUGGEST_SHARE = 1e-6, 1e-3
"""Of pairs of two people, those within the distance."""
_TAIL_SHARES = (3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4)
_LEAST_IN_TAIL = 10
LEAST_PAIRS, LEAST_PEOPLE = 3000, 10
"""Without which nothing is measured."""


@dataclass(frozen=True)
class Bands:
    """Distances of a vector space."""

    assign: float
    """From a group's middle, within which a face is assigned to it."""
    suggest: float
    """Within which a face is worth a question."""

    @property
    def core(self) -> float:
        """Distance within which faces that begin a group lie from each other."""
        return self.assign * _CORE

    @property
    def vote(self) -> float:
        """Distance within which a neighbour has a vote."""
        return min(self.assign * _VOTE, self.suggest)


KNOWN = {("dlib-resnet-v1", "1"): Bands(assign=0.45, suggest=0.6)}
"""Bands of models whose distances bench/RESULTS.md has, by name and version."""


def measured(different: Distances, people: int) -> Bands | None:
    """Return the bands of a space in which pairs of two people, of so many, are so far apart; None: they are too few.

    The fewer people they are, the more by chance they may differ, and the nearer faces have to be.
    """
    if len(different) < LEAST_PAIRS or people < LEAST_PEOPLE:
        return None
    shares = [one for one in _TAIL_SHARES if one * len(different) >= _LEAST_IN_TAIL]
    quantiles = [NormalDist().inv_cdf(one) for one in shares]
    logs = np.log(np.maximum(np.quantile(different, shares), np.finfo(np.float32).tiny))
    slope, intercept = np.polyfit(quantiles, logs, 1)
    assign, suggest = (
        float(np.exp(intercept + slope * NormalDist().inv_cdf(one))) for one in (_ASSIGN_SHARE, _SUGGEST_SHARE)
    )
    care = math.exp(-1 / math.sqrt(people))
    return Bands(assign * care, suggest * care)


class Space(NamedTuple):
    """By what a collection's people are compared."""

    model_id: int
    name: str
    version: str
    metric: str
    bands: Bands | None
    """Euclidean, whatever the metric; None: of its distances nothing is known, so nobody is named by them."""
    source: str
    """Where they come from: "default" or "decisions"; empty: nowhere."""

    def euclidean(self, distance: float) -> float:
        """Return the Euclidean distance of vectors that are so far apart by the metric."""
        return math.sqrt(2 * max(0.0, distance)) if self.metric == "cosine" else distance

    def own(self, distance: float) -> float:
        """Return the distance by the metric of vectors that are so far apart."""
        return distance**2 / 2 if self.metric == "cosine" else distance


async def space_of(connection: AsyncConnection, collection_id: int) -> Space | None:
    """Return by what the collection's people are compared; None: it has no vectors."""
    columns = used_model.c
    model = vector_model.c
    shown = columns.model_id, columns.assign_distance, columns.suggest_distance
    found = select(*shown, model.name, model.version, model.metric).join(vector_model)
    row = (await connection.execute(found.where(columns.collection_id == collection_id))).one_or_none()
    if row is None:
        return None
    known = KNOWN.get((row.name, row.version))
    space = Space(row.model_id, row.name, row.version, row.metric, known, "default")
    if row.assign_distance is not None and row.suggest_distance is not None:
        measured_ = Bands(space.euclidean(row.assign_distance), space.euclidean(row.suggest_distance))
        return space._replace(bands=measured_, source="decisions")
    return space if space.bands else space._replace(source="")
