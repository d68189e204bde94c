"""What was decided and refused of a picture's faces, carried to the picture that it turns out to be."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.v1 import recognizer_pb2
from services.library.categories import rules
from services.library.database.change import Change
from services.library.database.people_tables import decision, face_refusal, face_vector, person
from services.library.database.tables import face
from services.library.people.faces import settle
from services.library.work.matching import Known, match

_TRANSFERS = (
    """
    UPDATE decision SET face_id = :new
    WHERE face_id = :old AND NOT EXISTS (SELECT FROM decision AS own WHERE own.face_id = :new)
    """,
    """
    INSERT INTO face_refusal (face_id, person_id, caller, create_time)
    SELECT :new, person_id, caller, create_time FROM face_refusal WHERE face_id = :old
    ON CONFLICT DO NOTHING
    """,
    """
    UPDATE action_row SET face_id = :new, before = before || own, after = after || own
    FROM jsonb_build_object('face_id', CAST(CAST(:new AS uuid) AS text)) AS own
    WHERE face_id = :old AND table_name IN ('decision', 'face_refusal')
    """,
)
"""So that what was done to one face was done to the other, and can be undone there."""


async def carry(change: Change, old: UUID, new: UUID) -> None:
    """Have what people said of the old picture's faces hold for the new one's; both are held, and so are people.

    Where the new one has a face at the same place, it is about that; else the face itself moves. What was decided in
    the new picture stays, and nobody gets into it twice. The caller indexes the picture, in the same transaction.
    """
    connection = change.connection
    if not (moving := await _told(connection, old)):
        return
    decided = await _people(connection, new)
    rows = (await connection.execute(select(face).where(face.c.picture_id == new))).all()
    known = [Known(row.face_id, row.current, recognizer_pb2.Verdict.FromString(row.verdict)) for row in rows]
    found = match(known, [recognizer_pb2.Verdict.FromString(row.verdict) for row in moving])
    for position, row in enumerate(moving):
        if row.person_id not in decided:
            await _move(connection, row.face_id, found.get(position), new)
    await settle(connection, [new])
    await rules.apply(connection, change.collection_id, [new])


async def _told(connection: AsyncConnection, picture_id: UUID) -> Sequence[Any]:
    """Return the picture's faces of which people said something, or which they drew, with who was decided."""
    refused = select(face_refusal.c.face_id).where(face_refusal.c.face_id == face.c.face_id).exists()
    told = or_(decision.c.face_id.is_not(None), refused, face.c.drawn, face.c.erased)
    columns = face.c.face_id, face.c.verdict, _WHO.label("person_id")
    joined = face.outerjoin(decision).outerjoin(person, person.c.person_id == decision.c.person_id)
    its = select(*columns).select_from(joined).where(face.c.picture_id == picture_id, told)
    return (await connection.execute(its.order_by(face.c.face_id))).all()


async def _people(connection: AsyncConnection, picture_id: UUID) -> set[UUID]:
    """Return who was decided to be in the picture."""
    joined = face.join(decision).join(person, person.c.person_id == decision.c.person_id)
    found = select(_WHO).select_from(joined).where(face.c.picture_id == picture_id)
    return {UUID(int=one.int) for one in (await connection.execute(found)).scalars()}


_WHO = func.coalesce(person.c.merged_id, person.c.person_id)


async def _move(connection: AsyncConnection, old: UUID, new: UUID | None, picture_id: UUID) -> None:
    """Have what was said of the old face be said of the new one; None: move the face into the picture."""
    if new is None:
        for table in (face, face_vector):
            its = update(table).where(table.c.face_id == old)
            await connection.execute(its.values(picture_id=picture_id))
        return
    for statement in _TRANSFERS:
        await connection.execute(text(statement), {"old": old, "new": new})
    await connection.execute(update(face).where(face.c.face_id == new).values(current=True))
