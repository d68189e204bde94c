"""Splitting: a person's faces put into groups that belong together, by average linkage."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from sqlalchemy import bindparam, text

from marquee.library.v1 import people_pb2 as pb
from services.library.database.database import Database
from services.library.grouping.bands import Space, space_of
from services.library.people.view import person_of
from services.runtime.errors import ModelNotFound

_MOST = 2000
"""Faces that are compared."""
_MOST_GROUPS = 100
_LOOKED_AT = 20
"""Groups among which the gap is looked for."""
_FACES = text("""
SELECT face_id, vector::text AS vector,
  EXISTS (SELECT FROM decision WHERE decision.face_id = face.face_id) AS decided
FROM face JOIN picture USING (picture_id) JOIN face_vector USING (face_id)
WHERE face.person_id = :person_id AND face.source <> 0 AND face.current
  AND picture.delete_time IS NULL AND picture.redirect_id IS NULL AND model_id = :model_id
ORDER BY face.source, face_id DESC LIMIT :most
""").bindparams(bindparam("most", _MOST))
_Distances: TypeAlias = npt.NDArray[np.float32]


class Splitting:
    """ProposeSplit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def propose(self, request: pb.ProposeSplitRequest) -> pb.ProposeSplitResponse:
        """Propose how to split a person. Raises PersonNotFound and ModelNotFound."""
        collection_id = await self._database.collection_id(request.collection, make=False)
        async with self._database.snapshot() as connection:
            person_id = await person_of(connection, collection_id, request.person_id)
            space = await space_of(connection, collection_id)
            if space is None:
                raise ModelNotFound("The library has no vectors by which to compare faces yet.")
            values = {"person_id": str(person_id), "model_id": space.model_id}
            rows = (await connection.execute(_FACES, values)).all()
        found = await asyncio.to_thread(_proposed, rows, space)
        return pb.ProposeSplitResponse(groups=[_group(rows, one) for one in found], compared_count=len(rows))


def groups(distances: _Distances, most: float | None) -> list[list[int]]:
    """Return the faces, by their position, in groups, the largest first.

    `distances`: [n, n], symmetric. No groups are left that are within the distance `most` of each other, on average;
    None: there are as many as where the distance between those that are joined next grows most, two at least. In a
    group, those come first that are most like the others.
    """
    if not (count := len(distances)):
        return []
    joined = _linked(distances)
    heights = [height for height, _, _ in joined]
    kept = _before_gap(heights) if most is None else sum(height <= most for height in heights)
    members = _cut(count, joined[: max(kept, count - _MOST_GROUPS)])
    return sorted((_ordered(distances, one) for one in members), key=lambda one: (-len(one), one[0]))


def _before_gap(heights: Sequence[float]) -> int:
    """Return how many of the rising heights come before the widest gap among the last ones."""
    tops = heights[-_LOOKED_AT:]
    gaps = [later - earlier for earlier, later in pairwise(tops)]
    return len(heights) - len(tops) + 1 + int(np.argmax(gaps)) if gaps else 0


def _linked(distances: _Distances) -> list[tuple[float, int, int]]:
    """Return which two faces' groups are joined, by rising distance between them: the mean of that of their faces.

    It follows chains of nearest neighbours: the time is that of comparing each face with each other.
    """
    between, count = distances.astype(np.float64), len(distances)
    np.fill_diagonal(between, np.inf)
    sizes, left, chain = np.ones(count), set(range(count)), list[int]()
    joined: list[tuple[float, int, int]] = []
    while len(left) > 1:
        chain = chain or [min(left)]
        one = chain[-1]
        other = int(np.argmin(between[one]))
        if len(chain) > 1 and between[one, chain[-2]] <= between[one, other]:
            other = chain[-2]
        if len(chain) == 1 or other != chain[-2]:
            chain.append(other)
            continue
        del chain[-2:]
        joined.append((float(between[one, other]), one, other))
        _join(between, sizes, one, other)
        left.remove(other)
    return sorted(joined, key=lambda link: link[0])


def _join(between: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64], one: int, other: int) -> None:
    """Have the first group be both."""
    mean = (between[one] * sizes[one] + between[other] * sizes[other]) / (sizes[one] + sizes[other])
    mean[one] = np.inf
    between[one], between[:, one] = mean, mean
    between[other], between[:, other] = np.inf, np.inf
    sizes[one] += sizes[other]


def _cut(count: int, joined: Sequence[tuple[float, int, int]]) -> list[list[int]]:
    """Return the groups once these are joined."""
    of = list(range(count))

    def group(one: int) -> int:
        while of[one] != one:
            of[one] = of[of[one]]
            one = of[one]
        return one

    for _, one, other in joined:
        of[group(other)] = group(one)
    found: dict[int, list[int]] = {}
    for one in range(count):
        found.setdefault(group(one), []).append(one)
    return list(found.values())


def _ordered(distances: _Distances, members: Sequence[int]) -> list[int]:
    means = distances[np.ix_(members, members)].mean(axis=1)
    return [members[position] for position in np.argsort(means, kind="stable")]


def _proposed(rows: Sequence[Any], space: Space) -> list[list[int]]:
    if not rows:
        return []
    vectors = np.array([np.fromstring(row.vector[1:-1], np.float32, sep=",") for row in rows])
    if space.metric == "cosine":
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    most = space.bands.suggest if space.bands else None
    return groups(_distances(vectors), most)


def _distances(vectors: npt.NDArray[np.float32]) -> _Distances:
    squares = (vectors**2).sum(axis=1)
    found = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * vectors @ vectors.T, 0))
    np.fill_diagonal(found, 0)
    result: _Distances = found.astype(np.float32)
    return result


def _group(rows: Sequence[Any], members: Sequence[int]) -> pb.FaceGroup:
    faces = [rows[position] for position in members]
    return pb.FaceGroup(face_ids=[str(one.face_id) for one in faces], decided_count=sum(one.decided for one in faces))
