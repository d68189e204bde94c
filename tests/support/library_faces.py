"""Faces with vectors, written into the library's tables as they are, without a gateway."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import numpy as np
import numpy.typing as npt
import uuid6

from marquee.library.v1.library_pb2 import PICTURE_STATE_RECOGNIZED, TIME_SOURCE_ADDED
from marquee.v1 import recognizer_pb2 as pb
from services.library.faces.vectors import as_text
from tests.support.servers import Place, Scripted, face, result

Vectors = npt.NDArray[np.float32]
_BOX = pb.BoundingBox(left=0.25, top=0.25, width=0.5, height=0.5)
_UNKNOWN = pb.Verdict(box=_BOX, state=pb.VERDICT_STATE_UNKNOWN)


def embedded(place: Place, values: Sequence[float], name: str = "", version: str = "1", metric: str = "l2") -> pb.Face:
    """Return a face with a vector of the model "net"."""
    found = face(place, name)
    found.embedding.MergeFrom(pb.Embedding(model="net", version=version, metric=metric, values=values))
    return found


def embedding(name: str, *faces: pb.Face, **fields: object) -> Scripted:
    """Return a recognizer that finds faces with vectors."""
    recognizer = Scripted(name, result=result(name, *faces), **fields)
    recognizer.listed.gives_embeddings = True
    return recognizer


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    """Yield a connection of asyncpg's, for what a test does to the database itself."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def write(
    url: str, vectors: Vectors, pictures: Sequence[int] = (), *, collection: str = "pictures", metric: str = "l2"
) -> list[UUID]:
    """Write a face for each vector, of the model "net"; return their face_ids.

    `pictures`: the number of each one's picture; else each has its own.
    """
    numbers = list(pictures) or list(range(len(vectors)))
    picture_ids = {number: _new_id() for number in sorted(set(numbers))}
    face_ids = [_new_id() for _ in vectors]
    async with connected(url) as connection, connection.transaction():
        collection_id = await _collection(connection, collection)
        model_id = await _model(connection, collection_id, metric, vectors.shape[1])
        await connection.executemany(
            "INSERT INTO picture (picture_id, collection_id, state, taken_time_source) VALUES ($1, $2, $3, $4)",
            [(one, collection_id, PICTURE_STATE_RECOGNIZED, TIME_SOURCE_ADDED) for one in picture_ids.values()],
        )
        verdict = _UNKNOWN.SerializeToString()
        faces = [
            (face_id, picture_ids[number], position % 1000, _UNKNOWN.state, verdict)
            for position, (face_id, number) in enumerate(zip(face_ids, numbers, strict=True))
        ]
        await connection.executemany(
            "INSERT INTO face (face_id, picture_id, position, state, verdict) VALUES ($1, $2, $3, $4, $5)", faces
        )
        await connection.executemany(
            "INSERT INTO face_vector (face_id, model_id, collection_id, picture_id, vector)"
            " VALUES ($1, $2, $3, $4, CAST($5::text AS halfvec))",
            [
                (face_id, model_id, collection_id, picture_ids[number], as_text(vector))
                for face_id, number, vector in zip(face_ids, numbers, vectors, strict=True)
            ],
        )
        await connection.execute("ANALYZE picture, face, face_vector")
    return face_ids


async def decide(url: str, face_ids: Sequence[UUID], *person_ids: UUID) -> None:
    """Decide whom the faces show; new people are called by their number."""
    person = (
        "INSERT INTO person (person_id, collection_id, display_name, folded_name, source)"
        " SELECT $1, collection_id, $2, lower($2), 1 FROM collection ON CONFLICT DO NOTHING"
    )
    async with connected(url) as connection:
        people = [(one, f"Person {one.int}") for one in dict.fromkeys(person_ids)]
        await connection.executemany(person, people)
        rows = list(zip(face_ids, person_ids, strict=True))
        await connection.executemany("INSERT INTO decision (face_id, kind, person_id) VALUES ($1, 1, $2)", rows)


async def delete(connection: Any, face_ids: Sequence[UUID]) -> None:
    """Put the faces' pictures into the trash."""
    its = "picture_id IN (SELECT picture_id FROM face WHERE face_id = ANY($1))"
    await connection.execute(f"UPDATE picture SET delete_time = now() WHERE {its}", list(face_ids))  # noqa: S608


async def _collection(connection: Any, name: str) -> int:
    await connection.execute("INSERT INTO collection (name) VALUES ($1) ON CONFLICT DO NOTHING", name)
    return int(await connection.fetchval("SELECT collection_id FROM collection WHERE name = $1", name))


async def _model(connection: Any, collection_id: int, metric: str, dimensions: int) -> int:
    own = "SELECT model_id FROM vector_model WHERE name = 'net' AND metric = $1 AND dimensions = $2"
    model_id = await connection.fetchval(own, metric, dimensions)
    if model_id is None:
        new = "INSERT INTO vector_model (name, version, metric, dimensions) VALUES ('net', '1', $1, $2)"
        model_id = await connection.fetchval(f"{new} RETURNING model_id", metric, dimensions)
    using = "INSERT INTO used_model (collection_id, model_id) VALUES ($1, $2) ON CONFLICT DO NOTHING"
    await connection.execute(using, collection_id, model_id)
    return int(model_id)


def _new_id() -> UUID:
    return UUID(int=uuid6.uuid7().int)
