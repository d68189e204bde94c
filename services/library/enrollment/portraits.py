"""Portraits of the library's faces, as recognizers get them, and which of a person's suit best."""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import numpy.typing as npt
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.v1 import recognizer_pb2
from services.library.database.database import Database
from services.library.enrollment.portrait import portrait
from services.library.pictures.content import Content
from services.runtime.errors import FaceNotFound, NoFace

_FACES = text("""
SELECT other.face_id = face.face_id AS is_own, face.picture_id, other.verdict
FROM face JOIN face AS other ON other.picture_id = face.picture_id
LEFT JOIN decision ON decision.face_id = other.face_id
WHERE face.face_id = :face_id AND (other.face_id = face.face_id OR other.current AND decision.kind IS DISTINCT FROM 3)
""")
_CANDIDATES = text("""
SELECT face.face_id, face.verdict, picture.width, picture.height, CAST(vector AS REAL[]) AS vector,
  EXISTS (SELECT FROM enrollment WHERE enrollment.face_id = face.face_id AND enrollment.state = 1) AS is_enrolled
FROM decision JOIN person USING (person_id)
JOIN face USING (face_id)
JOIN picture ON picture.picture_id = face.picture_id AND picture.delete_time IS NULL
LEFT JOIN used_model ON used_model.collection_id = picture.collection_id
LEFT JOIN face_vector ON face_vector.face_id = face.face_id AND face_vector.model_id = used_model.model_id
WHERE :person_id IN (person.person_id, person.merged_id) AND NOT face.erased
ORDER BY face.face_id DESC LIMIT 500
""")
_LARGE = 160.0
"""Side of a face in pixels from which on more of them tell no more."""
_SMALLEST = 64.0
"""Side of a face that is taken only if there is none that is larger."""


class Candidate(NamedTuple):
    """A face of a person that may be enrolled."""

    face_id: UUID
    side: float
    """Pixels of its shorter side."""
    vector: npt.NDArray[np.float32] | None
    is_enrolled: bool


class Portraits:
    """Portraits of faces."""

    def __init__(self, database: Database, content: Content) -> None:
        self._database = database
        self._content = content

    async def of(self, face_id: UUID) -> bytes:
        """Return a JPEG of a face alone. Raises FaceNotFound, NoFace, and what reading its picture does."""
        async with self._database.begin() as connection:
            rows = (await connection.execute(_FACES, {"face_id": face_id})).all()
        own = [row for row in rows if row.is_own]
        if not own:
            raise FaceNotFound("The face is in the library no longer.")
        verdict = _verdict(own[0])
        if not verdict.HasField("box"):
            raise NoFace("Nobody has said where in the picture this face is.")
        others = [_verdict(row) for row in rows if not row.is_own]
        boxes = [one.box for one in others if one.HasField("box")]
        content = await self._content.original(UUID(int=own[0].picture_id.int))
        return await asyncio.to_thread(portrait, content, verdict.box, boxes)


async def best(connection: AsyncConnection, person_id: UUID, count: int) -> list[UUID]:
    """Return the person's decided faces that suit enrollment best, those that are enrolled first."""
    rows = (await connection.execute(_CANDIDATES, {"person_id": person_id})).all()
    return choose([one for row in rows if (one := _candidate(row))], count)


def choose(candidates: Sequence[Candidate], count: int) -> list[UUID]:
    """Return up to so many faces: the enrolled ones, then the largest, each as unlike those before it as can be.

    Pure. Faces without a vector are told apart by their size alone.
    """
    left = sorted(candidates, key=lambda one: (-min(one.side, _LARGE), one.face_id))
    chosen = [one for one in left if one.is_enrolled][:count]
    fit = [one for one in left if not one.is_enrolled and one.side >= _SMALLEST]
    left = fit or [one for one in left if not one.is_enrolled][: 0 if chosen else 1]
    while left and len(chosen) < count:
        distances = [_distance(one, chosen) for one in left]
        chosen.append(left.pop(int(np.argmax(distances))))
    return [one.face_id for one in chosen]


def _distance(one: Candidate, chosen: Sequence[Candidate]) -> float:
    """Return how unlike the face is to the nearest of those that are chosen; 0: nobody knows."""
    known = [other.vector for other in chosen if other.vector is not None]
    if one.vector is None or not known:
        return 0.0
    return float(min(np.linalg.norm(one.vector - other) for other in known))


def _candidate(row: Any) -> Candidate | None:
    box = _verdict(row).box
    side = min(box.width * row.width, box.height * row.height)
    vector = None if row.vector is None else np.asarray(row.vector, np.float32)
    return Candidate(UUID(int=row.face_id.int), side, vector, row.is_enrolled) if side > 0 else None


def _verdict(row: Any) -> recognizer_pb2.Verdict:
    return recognizer_pb2.Verdict.FromString(row.verdict)
