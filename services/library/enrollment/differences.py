"""Differences between what a recognizer has enrolled and what the library has."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import people_pb2 as pb
from marquee.v1 import enrollment_pb2
from services.library.database.identifiers import uuid_of
from services.library.enrollment.ledger import ENROLLED, IDS, REFUSED, WAITING, Row

Kind = pb.DifferenceKind
_OWN = text("""
SELECT own.person_id AS own_id, named.person_id, named.display_name, own.collection_id,
  own.delete_time IS NOT NULL OR named.delete_time IS NOT NULL AS is_gone
FROM person AS own JOIN person AS named ON named.person_id = coalesce(own.merged_id, own.person_id)
WHERE own.person_id = ANY(:ids)
""").bindparams(IDS)
_ERASED = text("SELECT person_id FROM person_receipt WHERE person_id = ANY(:ids)").bindparams(IDS)
_IDENTITIES = text("""
SELECT external_id, named.person_id, named.display_name,
  own.delete_time IS NOT NULL OR named.delete_time IS NOT NULL AS is_gone
FROM identity JOIN person AS own USING (person_id)
JOIN person AS named ON named.person_id = coalesce(own.merged_id, own.person_id)
WHERE identity.collection_id = :collection_id AND external_id = ANY(:external_ids) AND recognizer IN (:recognizer, '')
  AND recognizer_collection = ''
ORDER BY recognizer
""").bindparams(bindparam("external_ids", type_=ARRAY(Text)))
_EXTERNAL = text("""
SELECT CAST(person_id AS TEXT) FROM person WHERE :person_id IN (person_id, merged_id)
UNION
SELECT external_id FROM identity JOIN person USING (person_id)
WHERE :person_id IN (person.person_id, merged_id) AND recognizer IN (:recognizer, '') AND recognizer_collection = ''
  AND external_id NOT LIKE '=%'
ORDER BY 1
""")
_NAME = text("SELECT display_name FROM person WHERE person_id = :person_id")


class Known(NamedTuple):
    """Who a recognizer's person is to the library."""

    person_id: UUID | None = None
    """Who it is, also if they were merged; None: the library knows nobody so."""
    display_name: str = ""
    own_id: UUID | None = None
    """By which identifier of the library the recognizer knows them; None: by one of its own."""
    is_gone: bool = False
    """Whether they were deleted or erased."""
    is_elsewhere: bool = False
    """Whether they are another collection's."""


async def known_of(
    connection: AsyncConnection, collection_id: int, recognizer: str, external_ids: Sequence[str]
) -> dict[str, Known]:
    """Return who a recognizer's people are, those that the library knows."""
    ids = [parsed for one in external_ids if (parsed := uuid_of(one))]
    values = {"collection_id": collection_id, "external_ids": list(external_ids), "recognizer": recognizer}
    known = {
        row.external_id: Known(UUID(int=row.person_id.int), row.display_name, None, row.is_gone)
        for row in await connection.execute(_IDENTITIES, values)
    }
    for own_id in (await connection.execute(_ERASED, {"ids": ids})).scalars():
        known[str(own_id)] = Known(is_gone=True)
    for row in await connection.execute(_OWN, {"ids": ids}):
        own, named = UUID(int=row.own_id.int), UUID(int=row.person_id.int)
        known[str(own)] = Known(named, row.display_name, own, row.is_gone, row.collection_id != collection_id)
    return known


async def external_ids_of(connection: AsyncConnection, recognizer: str, person_id: UUID) -> list[str]:
    """Return what a recognizer may call a person."""
    values = {"person_id": person_id, "recognizer": recognizer}
    return list((await connection.execute(_EXTERNAL, values)).scalars())


async def name_of(connection: AsyncConnection, person_id: str) -> str:
    """Return the person's name."""
    return str((await connection.execute(_NAME, {"person_id": uuid_of(person_id)})).scalar_one_or_none() or "")


def of_person(recognizer: str, one: enrollment_pb2.Person, whose: Known) -> list[pb.Difference]:
    """Return how a recognizer's person differs from the library's. Pure."""
    if whose.is_gone:
        kind = Kind.DIFFERENCE_KIND_PERSON_LEFT
    elif whose.person_id is None:
        kind = Kind.DIFFERENCE_KIND_PERSON_FOREIGN
    elif one.display_name != whose.display_name and whose.own_id in {None, whose.person_id}:
        kind = Kind.DIFFERENCE_KIND_NAME
    else:
        return []
    found = pb.Difference(kind=kind, recognizer=recognizer, external_id=one.person_id, display_name=one.display_name)
    found.person_id = str(whose.person_id or "")
    return [found]


def of_faces(
    recognizer: str, whose: Known, rows: Sequence[Row], faces: Sequence[enrollment_pb2.PersonFace]
) -> list[pb.Difference]:
    """Return how a person's faces at a recognizer differ from what was enrolled. Pure."""
    listed = {one.face_id: one for one in faces}
    differences = [
        _face(Kind.DIFFERENCE_KIND_FACE_LEFT, row, whose)
        for row in rows
        if not row.is_owners and row.external_face_id in listed
    ]
    differences += lost([row for row in rows if row.external_face_id not in listed], whose)
    known = {row.external_face_id for row in rows if row.state != REFUSED}
    coming = {row.content_sha256.hex() for row in rows if row.state == WAITING}
    for one in faces:
        if one.face_id not in known and one.content_sha256 not in coming - {""}:
            foreign = pb.Difference(kind=Kind.DIFFERENCE_KIND_FACE_FOREIGN, recognizer=recognizer)
            foreign.person_id, foreign.external_id = str(whose.person_id), str(whose.own_id)
            foreign.external_face_id = one.face_id
            differences.append(foreign)
    return differences


def lost(rows: Sequence[Row], whose: Known | None = None) -> list[pb.Difference]:
    """Return which of the rows are of faces that a recognizer should have, and has not. Pure."""
    return [
        _face(Kind.DIFFERENCE_KIND_FACE_MISSING, row, whose) for row in rows if row.state == ENROLLED and row.is_owners
    ]


def _face(kind: "Kind.ValueType", row: Row, whose: Known | None) -> pb.Difference:
    person_id: Any = row.person_id if whose is None else whose.person_id
    return pb.Difference(
        kind=kind,
        recognizer=row.recognizer,
        person_id=str(person_id),
        external_id=str(row.person_id),
        face_id=str(row.face_id),
        external_face_id=row.external_face_id,
    )
