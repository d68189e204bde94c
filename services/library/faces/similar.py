"""Search by face: who looks like a face, a person or a picture; and how well the index finds them."""

import statistics
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

import numpy as np
from sqlalchemy import ColumnElement, Text, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import people_pb2 as pb
from marquee.library.v1.library_pb2 import PICTURE_ORDER_UNSPECIFIED
from marquee.v1 import recognizer_pb2
from services.library.database.database import Database
from services.library.database.people_tables import decision, face_vector, person
from services.library.faces import models, neighbours
from services.library.faces.embedder import Embedder
from services.library.faces.models import Model
from services.library.faces.neighbours import Among, vectors_of
from services.library.faces.vectors import as_text, is_usable
from services.library.people.view import face_of, found_faces, person_of
from services.library.search.conditions import conditions
from services.library.search.paging import order_of
from services.runtime import requests
from services.runtime.errors import InvalidRequest, ModelNotFound, NoFace, SeveralFaces
from services.runtime.server.deadline import deadline
from services.runtime.status import StatusError

_MOST, _DEFAULT = 1000, 20
_MOST_SAMPLES, _SAMPLES, _MOST_NEIGHBOURS, _NEIGHBOURS = 1000, 100, 100, 10
_MOST_OF_PERSON = 32
"""Faces of a person that others are compared with: those that differ most."""
_READ_OF_PERSON = 1000
_RESERVE_SECONDS = 2.0
_SAME = 1e-6
_FAILED = (recognizer_pb2.OUTCOME_ERROR, recognizer_pb2.OUTCOME_TIMEOUT, recognizer_pb2.OUTCOME_SHED)


class _Subject(NamedTuple):
    """What is looked for."""

    vectors: Sequence[str]
    without: Sequence[UUID] = ()
    """Faces that are the subject, so that they are not found."""


class Similar:
    """FindSimilarFaces and CheckIndex."""

    def __init__(self, database: Database, embedder: Embedder, s3_allowed: Sequence[str]) -> None:
        self._database = database
        self._embedder = embedder
        self._s3_allowed = s3_allowed

    async def find(self, request: pb.FindSimilarFacesRequest) -> pb.FindSimilarFacesResponse:
        """Return the faces that look like the subject, nearest first.

        Raises InvalidRequest, FaceNotFound, PersonNotFound, ModelNotFound; for a picture NoFace, SeveralFaces, and what
        the embedder raises.
        """
        limit = _number(request.limit, _DEFAULT, _MOST, "limit")
        if request.HasField("max_distance") and not request.max_distance >= 0:
            raise InvalidRequest("max_distance must not be negative.", field="max_distance")
        embeddings = await self._embeddings(request) if request.HasField("image") else []
        collection_id = await self._database.collection_id(request.collection, make=False)
        async with self._database.snapshot() as connection:
            model = await _used(connection, collection_id)
            subject = await _subject(connection, collection_id, request, model, embeddings)
            pictures = await _pictures(connection, collection_id, request)
            among = Among(model, collection_id, pictures, subject.without)
            most = request.max_distance if request.HasField("max_distance") else None
            found = await neighbours.find(connection, subject.vectors, among, limit, most)
            distances = {one.face_id: one.distance for one in found.faces}
            faces = await found_faces(connection, collection_id, list(distances), distances)
            (shown,) = await models.shown(connection, collection_id, model.model_id, counted=False)
        return pb.FindSimilarFacesResponse(faces=faces, exact=found.exact, model=shown)

    async def check(self, request: pb.CheckIndexRequest) -> pb.CheckIndexResponse:
        """Return how many of the nearest faces the index finds, for as many faces as the deadline leaves time for.

        Raises InvalidRequest and ModelNotFound.
        """
        size = _number(request.sample_size, _SAMPLES, _MOST_SAMPLES, "sample_size")
        count = _number(request.neighbour_count, _NEIGHBOURS, _MOST_NEIGHBOURS, "neighbour_count")
        collection_id = await self._database.collection_id(request.collection, make=False)
        async with self._database.snapshot() as connection:
            model = await _used(connection, collection_id)
            (shown,) = await models.shown(connection, collection_id, model.model_id)
            samples = await _samples(connection, collection_id, model, size)
            among, end = Among(model, collection_id), deadline() - _RESERVE_SECONDS
            checks: list[_Check] = []
            for face_id, vector in samples:
                if checks and time.monotonic() + checks[-1].exact_seconds + checks[-1].index_seconds > end:
                    break
                checks.append(await _check(connection, vector, among._replace(without=[face_id]), count))
        return pb.CheckIndexResponse(
            recall=sum(one.recall for one in checks) / len(checks) if checks else 1.0,
            sample_size=len(checks),
            neighbour_count=count,
            index_milliseconds=_median(one.index_seconds for one in checks),
            exact_milliseconds=_median(one.exact_seconds for one in checks),
            model=shown,
        )

    async def _embeddings(self, request: pb.FindSimilarFacesRequest) -> list[recognizer_pb2.Embedding]:
        """Return the embeddings of the one face of the request's picture, by all recognizers that give some."""
        requests.check_request(recognizer_pb2.RecognizeImageRequest(image=request.image), self._s3_allowed)
        results = (await self._embedder.recognize(request.image, await self._embedder.names())).results
        most = max((len(one.faces) for one in results), default=0)
        if most > 1:
            raise SeveralFaces(f"The picture shows {most} faces; one can be looked for.", field="image")
        found = [face.embedding for one in results for face in one.faces if is_usable(face.embedding)]
        failed = [one.status for one in results if one.outcome in _FAILED]
        if failed and not found:
            raise StatusError(failed[0])
        if not found:
            raise NoFace("No face was detected in the picture.", field="image")
        return found


class _Check(NamedTuple):
    """How the index did for a face."""

    recall: float
    index_seconds: float
    exact_seconds: float


async def _used(connection: AsyncConnection, collection_id: int) -> Model:
    model = await models.used(connection, collection_id)
    if model is None:
        raise ModelNotFound("The collection has no vectors of faces: no recognizer has given embeddings yet.")
    return model


async def _subject(
    connection: AsyncConnection,
    collection_id: int,
    request: pb.FindSimilarFacesRequest,
    model: Model,
    embeddings: Sequence[recognizer_pb2.Embedding],
) -> _Subject:
    kind = request.WhichOneof("subject")
    if kind == "face_id":
        ids = [UUID(int=(await face_of(connection, collection_id, request.face_id)).face_id.int)]
        return _Subject(_required(await vectors_of(connection, ids, model.model_id), model, kind), ids)
    if kind == "person_id":
        ids = await _faces_of_person(connection, await person_of(connection, collection_id, request.person_id))
        vectors = await vectors_of(connection, ids[:_READ_OF_PERSON], model.model_id)
        return _Subject(_different(_required(vectors, model, kind)), ids)
    if kind == "image":
        vectors = [as_text(one.values) for one in embeddings if _is_of(one, model)]
        return _Subject(_required(vectors, model, kind)[:1])
    raise InvalidRequest("Set one of face_id, person_id and image.", field="face_id")


async def _faces_of_person(connection: AsyncConnection, person_id: UUID) -> list[UUID]:
    """Return the faces that were decided to be theirs, newest first."""
    theirs = func.coalesce(person.c.merged_id, person.c.person_id) == person_id
    found = select(decision.c.face_id).join(person, person.c.person_id == decision.c.person_id).where(theirs)
    rows = (await connection.execute(found.order_by(decision.c.create_time.desc(), decision.c.face_id))).scalars()
    return [UUID(int=one.int) for one in rows]


async def _pictures(
    connection: AsyncConnection, collection_id: int, request: pb.FindSimilarFacesRequest
) -> Sequence[ColumnElement[bool]]:
    """Return the conditions of pictures in which faces are looked for; none if all are."""
    if not request.HasField("query"):
        return ()
    order = order_of(PICTURE_ORDER_UNSPECIFIED)
    return (await conditions(connection, collection_id, request.query, order)).every


def _required(vectors: list[str], model: Model, field: str) -> list[str]:
    if not vectors:
        message = f"There is no vector of the model {model.name} {model.version} to look for, or not yet."
        raise ModelNotFound(message, field=field)
    return vectors


def _different(vectors: list[str]) -> list[str]:
    """Return the vectors that differ most from each other, as many as others are compared with."""
    if len(vectors) <= _MOST_OF_PERSON:
        return vectors
    numbers = np.array([np.fromstring(one[1:-1], sep=",") for one in vectors])
    chosen = [0]
    nearest = np.linalg.norm(numbers - numbers[0], axis=1)
    while len(chosen) < _MOST_OF_PERSON:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(numbers - numbers[chosen[-1]], axis=1))
    return [vectors[one] for one in chosen]


def _is_of(embedding: recognizer_pb2.Embedding, model: Model) -> bool:
    own = (embedding.model, embedding.version, embedding.metric, len(embedding.values))
    return own == (model.name, model.version, model.metric, model.dimensions)


async def _samples(connection: AsyncConnection, collection_id: int, model: Model, size: int) -> list[tuple[UUID, str]]:
    """Return some faces at random, with their vectors."""
    columns = face_vector.c
    its = (columns.collection_id == collection_id, columns.model_id == model.model_id)
    found = select(columns.face_id, cast(columns.vector, Text).label("vector")).where(*its)
    rows = await connection.execute(found.order_by(func.random()).limit(size))
    return [(UUID(int=row.face_id.int), row.vector) for row in rows]


async def _check(connection: AsyncConnection, vector: str, among: Among, count: int) -> _Check:
    begin = time.perf_counter()
    found = await neighbours.indexed(connection, [vector], among, count) if among.model.indexed else None
    if found is None:
        found = await neighbours.exact(connection, [vector], among, count)
    middle = time.perf_counter()
    true = await neighbours.exact(connection, [vector], among, count) or []
    end = time.perf_counter()
    farthest = true[-1].distance + _SAME if true else 0.0
    right = sum(one.distance <= farthest for one in found or ())
    return _Check(right / len(true) if true else 1.0, middle - begin, end - middle)


def _number(given: int, default: int, most: int, field: str) -> int:
    """Return a number of a request, or the default for 0. Raises InvalidRequest."""
    if not 0 <= given <= most:
        raise InvalidRequest(f"{field} must be between 1 and {most}.", field=field)
    return given or default


def _median(seconds: Iterable[float]) -> float:
    values = list(seconds)
    return 1000 * statistics.median(values) if values else 0.0
