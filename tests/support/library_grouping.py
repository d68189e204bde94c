"""Faces with vectors in a library, written into its tables at once."""

import asyncio
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import asyncpg
from pgvector.asyncpg import register_vector

from bench.library.synthetic import DIMENSIONS, Faces
from marquee.library.v1 import library_pb2 as pb
from marquee.v1 import recognizer_pb2
from tests.support.processes import PATIENCE

ASSIGN_AND_SUGGEST = (0.737, 0.936)
"""Distances of synthetic faces, as measured on 400 people."""
_PICTURE, _FACE = 1 << 120, 2 << 120
_BOXES = 10


def face_id(number: int) -> UUID:
    """Return the identifier of the face with this number, from 0."""
    return UUID(int=_FACE + number)


def picture_id(number: int) -> UUID:
    """Return the identifier of the picture with this number."""
    return UUID(int=_PICTURE + number)


def verdict(number: int, **fields: Any) -> recognizer_pb2.Verdict:
    """Return what the gateway says of the face with this number: where it is, beside the next ones of its picture."""
    box = recognizer_pb2.BoundingBox(left=number % _BOXES / _BOXES, top=0.1, width=1 / _BOXES, height=0.1)
    return recognizer_pb2.Verdict(box=box, **{"state": recognizer_pb2.VERDICT_STATE_UNKNOWN, **fields})


async def fill(
    url: str, batches: Iterable[Faces], *, collection: str = "pictures", distances: tuple[float, float] | None = None
) -> int:
    """Write faces, which are new, with their pictures; return the number of the model that the collection uses.

    `distances`: of the assign and of the suggest band.
    """
    connection = await asyncpg.connect(url)
    try:
        await register_vector(connection)
        return await _fill(connection, batches, collection, distances or (None, None))
    finally:
        await connection.close()


async def looked(url: str) -> None:
    """Return once a library has looked at all faces."""
    waiting = "SELECT FROM face WHERE tried_time IS NULL UNION ALL SELECT FROM stale_face"
    connection = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(PATIENCE):
            while await connection.fetchrow(waiting) is not None:  # noqa: ASYNC110 - a worker changes it
                await asyncio.sleep(0.02)
    finally:
        await connection.close()


async def _fill(
    connection: asyncpg.Connection, batches: Iterable[Faces], name: str, distances: tuple[float | None, float | None]
) -> int:
    collection_id = await connection.fetchval(
        "INSERT INTO collection (name) VALUES ($1) ON CONFLICT (name) DO UPDATE SET name = $1 RETURNING collection_id",
        name,
    )
    model_id = await connection.fetchval(
        "INSERT INTO vector_model (name, version, metric, dimensions) VALUES ('synthetic', '1', 'l2', $1)"
        " ON CONFLICT (name, version, metric, dimensions) DO UPDATE SET name = 'synthetic' RETURNING model_id",
        DIMENSIONS,
    )
    await connection.execute(
        "INSERT INTO used_model VALUES ($1, $2, $3, $4) ON CONFLICT (collection_id) DO NOTHING",
        *(collection_id, model_id, *distances),
    )
    number = 0
    for batch in batches:
        await _copy(connection, batch, collection_id, model_id, number)
        number += len(batch.people)
    return int(model_id)


async def _copy(connection: asyncpg.Connection, faces: Faces, collection_id: int, model_id: int, first: int) -> None:
    pictures = [picture_id(one) for one in faces.pictures.tolist()]
    known = await connection.fetch("SELECT picture_id FROM picture WHERE picture_id = ANY($1)", pictures)
    new = set(pictures) - {row[0] for row in known}
    rows = [(one, collection_id, pb.PICTURE_STATE_RECOGNIZED, pb.TIME_SOURCE_ADDED) for one in sorted(new)]
    columns = ["picture_id", "collection_id", "state", "taken_time_source"]
    await connection.copy_records_to_table("picture", records=rows, columns=columns)
    state = recognizer_pb2.VERDICT_STATE_UNKNOWN
    records = [
        (face_id(first + at), one, at % 1000, state, verdict(at).SerializeToString()) for at, one in enumerate(pictures)
    ]
    columns = ["face_id", "picture_id", "position", "state", "verdict"]
    await connection.copy_records_to_table("face", records=records, columns=columns)
    vectors = [
        (face_id(first + at), model_id, collection_id, pictures[at], one) for at, one in enumerate(faces.vectors)
    ]
    columns = ["face_id", "model_id", "collection_id", "picture_id", "vector"]
    await connection.copy_records_to_table("face_vector", records=vectors, columns=columns)
