"""People and faces as callers see them, put together from their rows."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, bindparam, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import people_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.library.database.identifiers import uuid_of
from services.library.database.people_tables import person
from services.library.pictures.view import FACE, picture_face, timestamp
from services.runtime.errors import FaceNotFound, PersonNotFound

_FACES = """
SELECT face.face_id AS id, picture.picture_id, picture.taken_time, ROW(:face) AS face
FROM unnest(:ids) WITH ORDINALITY AS listed (face_id, number)
JOIN face USING (face_id)
JOIN picture USING (picture_id)
WHERE picture.collection_id = :collection_id
ORDER BY number
""".replace(":face", FACE)
_PEOPLE = """
SELECT person.person_id, collection.name AS collection, display_name, hidden, cover_face_id, person.create_time,
  aliases, identities, face_count, decided_count, covers
FROM unnest(:ids) WITH ORDINALITY AS listed (person_id, number)
JOIN person USING (person_id)
JOIN collection USING (collection_id)
CROSS JOIN LATERAL (
  SELECT ARRAY(
    SELECT name FROM person_alias WHERE person_alias.person_id = person.person_id ORDER BY position, folded_name
  ) AS aliases
) AS alias
CROSS JOIN LATERAL (
  SELECT ARRAY(
    SELECT person.person_id UNION ALL SELECT merged.person_id FROM person AS merged
    WHERE merged.merged_id = person.person_id
  ) AS ids
) AS one
CROSS JOIN LATERAL (
  SELECT ARRAY(
    SELECT ROW(recognizer, recognizer_collection, external_id) FROM identity WHERE identity.person_id = ANY(one.ids)
    ORDER BY recognizer, recognizer_collection, external_id LIMIT 256
  ) AS identities
) AS identity
CROSS JOIN LATERAL (
  SELECT count(*) AS face_count FROM face JOIN picture USING (picture_id)
  WHERE face.person_id = person.person_id::text AND source <> 0 AND current
    AND delete_time IS NULL AND redirect_id IS NULL
) AS counted
CROSS JOIN LATERAL (
  SELECT count(*) AS decided_count FROM decision JOIN face USING (face_id) JOIN picture USING (picture_id)
  WHERE decision.person_id = ANY(one.ids) AND picture.delete_time IS NULL AND picture.redirect_id IS NULL
) AS decided
CROSS JOIN LATERAL (
  SELECT ARRAY(
    SELECT ROW(face.face_id, verdict, width, height) FROM face JOIN picture USING (picture_id)
    WHERE face.person_id = person.person_id::text AND source <> 0 AND current
      AND delete_time IS NULL AND redirect_id IS NULL
    ORDER BY (face.face_id = cover_face_id) IS TRUE DESC, source, face.score DESC, face.face_id LIMIT 20
  ) AS covers
) AS cover
WHERE person.collection_id = :collection_id AND person.delete_time IS NULL AND person.merged_id IS NULL
ORDER BY number
"""
_IDS = bindparam("ids", type_=ARRAY(Uuid))
_NO_DISTANCES: Mapping[UUID, float] = {}


async def found_faces(
    connection: AsyncConnection,
    collection_id: int,
    face_ids: Sequence[UUID],
    distances: Mapping[UUID, float] = _NO_DISTANCES,
) -> list[pb.FoundFace]:
    """Return the collection's faces in the order of the ids, leaving out those that it does not have."""
    values = {"ids": list(face_ids), "collection_id": collection_id}
    rows = await connection.execute(text(_FACES).bindparams(_IDS), values)
    return [
        pb.FoundFace(
            face=picture_face(row.face),
            picture_id=str(row.picture_id),
            taken_time=timestamp(row.taken_time),
            distance=distances.get(UUID(int=row.id.int)),
        )
        for row in rows
    ]


async def people_of(
    connection: AsyncConnection, collection_id: int, person_ids: Sequence[UUID]
) -> list[pb.LibraryPerson]:
    """Return the collection's people in the order of the ids, leaving out those who were merged or deleted."""
    values = {"ids": list(person_ids), "collection_id": collection_id}
    return [_person(row) for row in await connection.execute(text(_PEOPLE).bindparams(_IDS), values)]


async def face_of(connection: AsyncConnection, collection_id: int, face_id: str, field: str = "face_id") -> Any:
    """Return the row of a face of the collection. Raises FaceNotFound."""
    return (await faces_of(connection, collection_id, [face_id], field))[0]


async def faces_of(
    connection: AsyncConnection, collection_id: int, face_ids: Sequence[str], field: str = "face_ids"
) -> list[Any]:
    """Return the rows of faces of the collection, each once, in their order. Raises FaceNotFound."""
    parsed = {one: uuid_of(one) for one in face_ids}
    found = text(
        "SELECT face.* FROM face JOIN picture USING (picture_id) "
        "WHERE face_id = ANY(:ids) AND collection_id = :collection_id AND current"
    ).bindparams(_IDS)
    values = {"ids": [one for one in parsed.values() if one], "collection_id": collection_id}
    rows = {row.face_id: row for row in await connection.execute(found, values) if _is_face(row)}
    for given, face_id in parsed.items():
        if face_id not in rows:
            raise FaceNotFound(f"The collection has no face {given!r}.", field=field)
    return [rows[face_id] for face_id in parsed.values()]


def _is_face(row: Any) -> bool:
    """Return whether a row is of a face: that there is none is told by a row, too."""
    return recognizer_pb2.Verdict.FromString(row.verdict).state != recognizer_pb2.VERDICT_STATE_NO_FACE


async def person_of(connection: AsyncConnection, collection_id: int, person_id: str, field: str = "person_id") -> UUID:
    """Return the identifier of a person of the collection, or of the one whom they were merged into.

    Raises PersonNotFound, also for somebody who was deleted.
    """
    own, named = person.alias("own"), person.alias("named")
    named_id = func.coalesce(own.c.merged_id, own.c.person_id)
    found = (
        select(named.c.person_id)
        .select_from(own.join(named, named.c.person_id == named_id))
        .where(
            own.c.person_id == uuid_of(person_id),
            own.c.collection_id == collection_id,
            own.c.delete_time.is_(None),
            named.c.delete_time.is_(None),
        )
    )
    row = (await connection.execute(found)).scalar_one_or_none()
    if row is None:
        raise PersonNotFound(f"The collection has no person {person_id!r}.", field=field)
    return UUID(int=row.int)


def _person(row: Any) -> pb.LibraryPerson:
    cover = "" if not row.covers else str(_cover(row.cover_face_id, row.covers))
    shown = pb.LibraryPerson(
        person_id=str(row.person_id),
        collection=row.collection,
        display_name=row.display_name,
        aliases=row.aliases,
        hidden=row.hidden,
        cover_face_id=cover,
        face_count=row.face_count,
        decided_count=row.decided_count,
        identities=[_identity(one) for one in row.identities],
        create_time=timestamp(row.create_time),
    )
    shown.etag = _etag(shown, row.cover_face_id)
    return shown


def _identity(row: Sequence[str]) -> pb.PersonIdentity:
    recognizer, recognizer_collection, external_id = row
    return pb.PersonIdentity(
        recognizer=recognizer, recognizer_collection=recognizer_collection, external_id=external_id
    )


def _cover(chosen: UUID | None, covers: Sequence[Sequence[Any]]) -> UUID:
    """Return the face that was chosen, if it still is one of theirs; else the largest of the best."""
    best: UUID = max(covers, key=lambda one: (one[0] == chosen, _pixels(*one[1:])))[0]
    return best


def _pixels(verdict: bytes, width: int, height: int) -> float:
    box = recognizer_pb2.Verdict.FromString(verdict).box
    return box.width * box.height * width * height


def _etag(shown: pb.LibraryPerson, cover_face_id: UUID | None) -> str:
    """Return what changes with name, aliases, cover and hidden."""
    parts = (shown.person_id, shown.display_name, *shown.aliases, str(shown.hidden), str(cover_face_id or ""))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
