"""Vectors of faces: kept a row for each face and model, and nowhere else."""

import math
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import ARRAY, Uuid, any_, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.v1 import recognizer_pb2 as pb
from services.library.database.change import Change
from services.library.database.people_tables import face_vector
from services.library.database.tables import face
from services.library.faces import models
from services.library.work.matching import Known, match
from services.runtime.boxes import MIN_OVERLAP

logger = structlog.get_logger()
_GREATEST = 65504.0
"""Of a component, as half a precision has it."""
_VALID = (pb.OUTCOME_OK, pb.OUTCOME_PARTIAL)


async def store(change: Change, picture_id: UUID, results: Sequence[pb.RecognizerResult]) -> None:
    """Keep the vectors that recognizers give of a picture's faces, which are written and held.

    A vector is that of the face whose box it overlaps most. The first model of a collection is the one that is used.
    """
    faces = [
        [one for one in result.faces if one.HasField("embedding")] for result in results if result.outcome in _VALID
    ]
    if any(faces):
        known = await _known(change.connection, picture_id)
        found = [pair for own in faces for pair in _pairs(known, own)]
        await write(change, picture_id, found)


async def write(change: Change, picture_id: UUID, found: Iterable[tuple[UUID, pb.Embedding]]) -> list[UUID]:
    """Keep vectors of faces of a picture, which is held; return the faces of which there is one now.

    Those whose vector of the used model is new or another are to be compared with others again. What is no vector is
    left out.
    """
    rows: dict[tuple[UUID, int], dict[str, Any]] = {}
    for face_id, embedding in found:
        model_id = await models.number_of(change.connection, embedding) if is_usable(embedding) else None
        if model_id is None:
            logger.warning("vector left out", model=embedding.model, version=embedding.version, face_id=str(face_id))
            continue
        row = {"face_id": face_id, "model_id": model_id, "vector": list(embedding.values)}
        rows.setdefault((face_id, model_id), row | {"collection_id": change.collection_id, "picture_id": picture_id})
    if rows:
        await _write(change, list(rows.values()))
    return list(dict.fromkeys(face_id for face_id, _ in rows))


def as_text(vector: Iterable[float]) -> str:
    """Return the vector as pgvector reads it."""
    return f"[{','.join(f'{one:.7g}' for one in vector)}]"


async def _write(change: Change, rows: list[dict[str, Any]]) -> None:
    connection, columns = change.connection, face_vector.c
    statement = insert(face_vector).values(rows)
    is_other = columns.vector.is_distinct_from(statement.excluded.vector)
    replaced = {"vector": statement.excluded.vector}
    keys = [columns.face_id, columns.model_id]
    changed = statement.on_conflict_do_update(index_elements=keys, set_=replaced, where=is_other)
    written = (await connection.execute(changed.returning(*keys))).all()
    used = await models.use_first(connection, change.collection_id, rows[0]["model_id"])
    ids = [row.face_id for row in written if row.model_id == used]
    its = face.c.face_id == any_(literal(ids, ARRAY(Uuid)))
    await connection.execute(update(face).where(its).values(tried_time=None))


async def _known(connection: AsyncConnection, picture_id: UUID) -> list[Known]:
    """Return the picture's faces that may have vectors: those with a box that were not erased."""
    columns = face.c
    its = select(columns.face_id, columns.verdict).where(
        columns.picture_id == picture_id, columns.current, ~columns.erased
    )
    rows = [(row.face_id, pb.Verdict.FromString(row.verdict)) for row in await connection.execute(its)]
    return [Known(face_id, True, verdict) for face_id, verdict in rows if verdict.HasField("box")]  # noqa: FBT003


def _pairs(known: Sequence[Known], faces: Sequence[pb.Face]) -> Iterable[tuple[UUID, pb.Embedding]]:
    found = match(known, [pb.Verdict(box=one.box) for one in faces], MIN_OVERLAP)
    return ((face_id, faces[position].embedding) for position, face_id in found.items())


def is_usable(embedding: pb.Embedding) -> bool:
    """Return whether it is a vector that can be kept and compared; not a number, and the zero vector, cannot be."""
    values = embedding.values
    return any(values) and all(math.isfinite(one) and abs(one) <= _GREATEST for one in values)
