"""CompareModels: how two models do on the faces that were decided, before the new one is used."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import people_pb2 as pb
from services.library.database.database import Database
from services.library.faces import models
from services.library.faces.models import Model
from services.runtime.errors import ModelNotFound

Vectors = NDArray[np.float32]
Numbers = NDArray[np.int64]
_MOST_FACES = 20_000
"""That are compared: with 512 components, 40 MB of each model's."""
_MOST_OF_ONE = 500
_MOST_PAIRS = 200_000
"""Of one person's faces, and as many of two people's, over which error rates are measured."""
_MOST_PEOPLE = 1000
_MOST_IDS = 100
_AT_ONCE = 512
"""Faces that are compared with all others at a time: 40 MB of distances."""
_BATCH = 2000
_DECIDED = text("""
SELECT face_id, person_id, group_id, old_vector, new_vector FROM (
  SELECT decision.face_id, shown.person_id,
    coalesce(encode(picture.pixel_sha256, 'hex'), picture.picture_id::text) AS group_id,
    halfvec_send(old.vector) AS old_vector, halfvec_send(new.vector) AS new_vector,
    row_number() OVER (PARTITION BY shown.person_id ORDER BY md5(decision.face_id::text)) AS number
  FROM decision
  JOIN person ON person.person_id = decision.person_id
  JOIN person AS shown ON shown.person_id = coalesce(person.merged_id, person.person_id)
  JOIN face ON face.face_id = decision.face_id
  JOIN picture ON picture.picture_id = face.picture_id
  JOIN face_vector AS old ON old.face_id = decision.face_id AND old.model_id = :old_model_id
  JOIN face_vector AS new ON new.face_id = decision.face_id AND new.model_id = :new_model_id
  WHERE shown.collection_id = :collection_id AND shown.delete_time IS NULL
    AND picture.delete_time IS NULL AND picture.redirect_id IS NULL
) AS decided
WHERE number <= :most_of_one
ORDER BY md5(person_id::text), number
LIMIT :most
""")
"""Whole people, of whom the least likely to be split by the limit; always the same ones."""
_NAMES = text("SELECT person_id, display_name FROM person WHERE person_id = ANY(:ids)")


class Comparison:
    """CompareModels, one at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = asyncio.Lock()

    async def compare(self, request: pb.CompareModelsRequest) -> pb.CompareModelsResponse:
        """Compare two models. Raises ModelNotFound."""
        collection_id = await self._database.collection_id(request.collection, make=False)
        async with self._turn:
            async with self._database.snapshot() as connection:
                old = await _old(connection, collection_id, request.old_model_id)
                new = await models.model(connection, request.new_model_id)
                faces = await _faces(connection, collection_id, (old, new))
            judged = await asyncio.to_thread(judge, faces)
        people = _differences(faces, judged)
        async with self._database.begin() as connection:
            rows = await connection.execute(_NAMES, {"ids": [one.person_id for one in people]})
            names = {row.person_id: row.display_name for row in rows}
        return _response(judged, [_comparison(one, names) for one in people])


@dataclass(frozen=True)
class Faces:
    """Decided faces, and two models' vectors of them."""

    face_ids: Sequence[UUID]
    person_ids: Sequence[UUID]
    groups: Sequence[str]
    """What pictures show: those with the same pixels show the same, and are no test of each other."""
    vectors: tuple[Vectors, Vectors]
    """Float32 [faces, components] of each model, compared by the Euclidean distance."""


class Judged(NamedTuple):
    """What came of comparing."""

    counted: NDArray[np.bool_]
    """Which faces were compared: those whose person has another one, in another picture."""
    right: tuple[NDArray[np.bool_], NDArray[np.bool_]]
    """Which faces each model names right."""
    error_rates: tuple[float, float]


def judge(faces: Faces) -> Judged:
    """Have each model name each face by the nearest other one, and tell one person's pairs from others'. Pure."""
    people, groups = _numbered(faces.person_ids), _numbered(faces.groups)
    counted = _has_another(people, groups)
    same, different = (pairs[groups[pairs[:, 0]] != groups[pairs[:, 1]]] for pairs in _pairs(people))
    old, new = faces.vectors
    return Judged(
        counted,
        (_right(old, people, groups) & counted, _right(new, people, groups) & counted),
        (
            equal_error_rate(_distances(old, same), _distances(old, different)),
            equal_error_rate(_distances(new, same), _distances(new, different)),
        ),
    )


def equal_error_rate(same: NDArray[Any], different: NDArray[Any]) -> float:
    """Return the error rate at the distance at which as many of the same are refused as of others accepted."""
    if not len(same) or not len(different):
        return 0.0
    limits = np.sort(np.concatenate((same, different)))
    accepted = np.searchsorted(np.sort(different), limits, side="right") / len(different)
    refused = 1 - np.searchsorted(np.sort(same), limits, side="right") / len(same)
    crossing = int(np.argmin(np.abs(accepted - refused)))
    return float((accepted[crossing] + refused[crossing]) / 2)


def _numbered(names: Sequence[Any]) -> Numbers:
    """Return a number for each name, equal for equal ones."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], np.int64)


def _has_another(people: Numbers, groups: Numbers) -> NDArray[np.bool_]:
    """Return whether each face's person is in another group."""
    where: dict[int, set[int]] = {}
    for person, group in zip(people.tolist(), groups.tolist(), strict=True):
        where.setdefault(person, set()).add(group)
    return np.array([len(where[person]) > 1 for person in people.tolist()], bool)


def _right(vectors: Vectors, people: Numbers, groups: Numbers) -> NDArray[np.bool_]:
    """Return whether the nearest face of another group is the same person's."""
    squares = np.einsum("ij,ij->i", vectors, vectors)
    right = np.zeros(len(vectors), bool)
    for begin in range(0, len(vectors), _AT_ONCE):
        own = slice(begin, begin + _AT_ONCE)
        distances = squares - 2 * (vectors[own] @ vectors.T)  # squared, less what is the same in a row
        distances[groups[own, None] == groups] = np.inf
        right[own] = people[distances.argmin(axis=1)] == people[own]
    return right


def _pairs(people: Numbers) -> tuple[Numbers, Numbers]:
    """Return pairs of faces of one person each, and of two. Some of many, always the same."""
    generator = np.random.default_rng(0)
    order = np.argsort(people, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(people[order])) + 1)
    count = sum(len(part) * (len(part) - 1) // 2 for part in parts)
    same = [_of_one(part, _MOST_PAIRS / max(count, 1), generator) for part in parts]
    others = generator.integers(0, max(len(people), 1), (_MOST_PAIRS if len(people) else 0, 2))
    return np.concatenate(same), others[people[others[:, 0]] != people[others[:, 1]]]


def _of_one(part: Numbers, share: float, generator: np.random.Generator) -> Numbers:
    """Return pairs of one person's faces: so many of all that there are."""
    first, second = np.triu_indices(len(part), 1)
    if share < 1:
        kept = generator.random(len(first)) < share
        first, second = first[kept], second[kept]
    return np.stack((part[first], part[second]), axis=1)


def _distances(vectors: Vectors, pairs: Numbers) -> Vectors:
    parts = [
        np.linalg.norm(vectors[some[:, 0]] - vectors[some[:, 1]], axis=1)
        for some in np.array_split(pairs, len(pairs) // _MOST_FACES + 1)
    ]
    return np.concatenate(parts).astype(np.float32)


async def _old(connection: AsyncConnection, collection_id: int, model_id: int) -> Model:
    """Return the model with this number; 0: the one that the collection uses."""
    found = await models.model(connection, model_id) if model_id else await models.used(connection, collection_id)
    if found is None:
        raise ModelNotFound("The collection uses no model yet.", field="old_model_id")
    return found


async def _faces(connection: AsyncConnection, collection_id: int, pair: tuple[Model, Model]) -> Faces:
    old, new = pair
    values = {"collection_id": collection_id, "old_model_id": old.model_id, "new_model_id": new.model_id}
    limits = {"most": _MOST_FACES, "most_of_one": _MOST_OF_ONE}
    rows: list[tuple[UUID, UUID, str]] = []
    vectors: tuple[list[Vectors], list[Vectors]] = ([], [])
    result = await connection.stream(_DECIDED.execution_options(yield_per=_BATCH), values | limits)
    async for part in result.partitions():
        rows += [(row.face_id, row.person_id, row.group_id) for row in part]
        vectors[0].append(_parsed([row.old_vector for row in part], old))
        vectors[1].append(_parsed([row.new_vector for row in part], new))
    face_ids, person_ids, groups = zip(*rows, strict=True) if rows else ((), (), ())
    return Faces(face_ids, person_ids, groups, (_joined(vectors[0], old), _joined(vectors[1], new)))


def _parsed(sent: Sequence[bytes], model: Model) -> Vectors:
    """Return vectors as PostgreSQL sends them: two numbers of 16 bits, and the components as halves, big-endian."""
    vectors = np.stack([np.frombuffer(one, ">f2", offset=4) for one in sent]).astype(np.float32)
    if model.metric == "cosine":  # the nearest by angle are those whose unit vectors are nearest
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return vectors


def _joined(parts: Sequence[Vectors], model: Model) -> Vectors:
    return np.concatenate(parts) if parts else np.empty((0, model.dimensions), np.float32)


class _Difference(NamedTuple):
    """Whose faces the models name differently."""

    person_id: UUID
    face_count: int
    better: Sequence[str]
    worse: Sequence[str]


def _differences(faces: Faces, judged: Judged) -> list[_Difference]:
    """Return whom the models name differently, those who lose most first."""
    old, new = (right.tolist() for right in judged.right)
    counts = Counter(compress(faces.person_ids, judged.counted))
    found: dict[UUID, tuple[list[str], list[str]]] = {}
    for number, (was, is_right) in enumerate(zip(old, new, strict=True)):
        if was != is_right:
            own = found.setdefault(faces.person_ids[number], ([], []))
            own[was].append(str(faces.face_ids[number]))
    people = [_Difference(person_id, counts[person_id], *both) for person_id, both in found.items()]
    people.sort(key=lambda one: (len(one.better) - len(one.worse), one.person_id))
    return people[:_MOST_PEOPLE]


def _comparison(one: _Difference, names: Mapping[UUID, str]) -> pb.PersonComparison:
    return pb.PersonComparison(
        person_id=str(one.person_id),
        display_name=names.get(one.person_id, ""),  # erased in between
        face_count=one.face_count,
        better_face_ids=one.better[:_MOST_IDS],
        worse_face_ids=one.worse[:_MOST_IDS],
    )


def _response(judged: Judged, people: Sequence[pb.PersonComparison]) -> pb.CompareModelsResponse:
    old, new = judged.right
    count = int(judged.counted.sum())
    return pb.CompareModelsResponse(
        face_count=count,
        old_accuracy=int(old.sum()) / max(count, 1),
        new_accuracy=int(new.sum()) / max(count, 1),
        old_equal_error_rate=judged.error_rates[0],
        new_equal_error_rate=judged.error_rates[1],
        better_count=int((new & ~old).sum()),
        worse_count=int((old & ~new).sum()),
        people=people,
    )
