"""The ledger: which face is at which recognizer as whose, and what is to be done about it.

A row is written before a recognizer is called and says afterwards what came of it, so that whoever goes on after a kill
knows what may have been sent. `next_attempt_time` says when there is something to do: triggers set it as decisions
and people change, also while a call is under way, whose end then leaves it.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from google.rpc import status_pb2
from sqlalchemy import ARRAY, Uuid, bindparam, case, null, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import people_pb2 as pb
from services.library.database.database import Database
from services.library.database.people_tables import enrollment
from services.library.people.actions import hold

ENROLLED = pb.FACE_ENROLLMENT_STATE_ENROLLED
REFUSED = pb.FACE_ENROLLMENT_STATE_REFUSED
REMOVING = pb.FACE_ENROLLMENT_STATE_REMOVING
WAITING = pb.FACE_ENROLLMENT_STATE_WAITING
_LOCK = 0x6D617274
"""Advisory lock of who brings a collection's enrollments up to date, with its number."""
_PAUSE_SECONDS = 2.0, 3600.0
"""After the first failure; and at most, which each further one comes nearer to."""
_MOST = 64
"""Rows that are worked on at a time, unless they are asked for."""
IDS = bindparam("ids", type_=ARRAY(Uuid))
_DUE = text(
    "SELECT DISTINCT collection_id FROM enrollment JOIN person USING (person_id) WHERE next_attempt_time <= now()"
)
_CLAIM = """
UPDATE enrollment SET next_attempt_time = clock_timestamp()
WHERE (face_id, recognizer, recognizer_collection) IN (
  SELECT face_id, recognizer, recognizer_collection FROM enrollment JOIN person USING (person_id)
  WHERE collection_id = :collection_id AND {due} ORDER BY next_attempt_time LIMIT CAST(:most AS BIGINT)
)
RETURNING face_id, recognizer, recognizer_collection
"""
_CLAIM_DUE = text(_CLAIM.format(due="next_attempt_time <= now()"))
_CLAIM_THESE = text(_CLAIM.format(due="face_id = ANY(:ids) AND next_attempt_time <= now()")).bindparams(IDS)
_ROWS = """
SELECT enrollment.*, owner.person_id AS owner_id, owner.display_name AS owner_name, EXISTS (
  SELECT FROM identity JOIN person USING (person_id)
  WHERE identity.recognizer IN (enrollment.recognizer, '')
    AND owner.person_id IN (person.person_id, person.merged_id)
) AS has_other
FROM enrollment
LEFT JOIN face ON face.face_id = enrollment.face_id AND NOT face.erased
LEFT JOIN decision ON decision.face_id = face.face_id
LEFT JOIN person AS decided ON decided.person_id = decision.person_id
LEFT JOIN person AS owner
  ON owner.person_id = coalesce(decided.merged_id, decided.person_id) AND owner.delete_time IS NULL
WHERE {which} = ANY(:ids)
ORDER BY enrollment.face_id, recognizer
"""
_OF_FACES = text(_ROWS.format(which="enrollment.face_id")).bindparams(IDS)
_OF_PEOPLE = text(_ROWS.format(which="enrollment.person_id")).bindparams(IDS)
_PEOPLE = text("""
SELECT DISTINCT person_id FROM enrollment JOIN person USING (person_id)
WHERE collection_id = :collection_id AND recognizer = :recognizer AND recognizer_collection = ''
""")
_AGAIN = text("""
UPDATE enrollment SET attempts = 0, next_attempt_time = now(),
  state = CASE state WHEN 1 THEN CAST(:state AS SMALLINT) ELSE state END
WHERE face_id = :face_id AND recognizer = :recognizer AND recognizer_collection = ''
  AND external_face_id = :external_face_id
""")
_WISH = text("""
INSERT INTO enrollment (recognizer, person_id, face_id, content_sha256, state, allow_similar, next_attempt_time)
VALUES (:recognizer, :person_id, :face_id, '', 4, :allow_similar, now())
ON CONFLICT (face_id, recognizer, recognizer_collection) DO UPDATE SET
  state = CASE enrollment.state WHEN 2 THEN 4 ELSE enrollment.state END,
  person_id = CASE enrollment.state WHEN 2 THEN EXCLUDED.person_id ELSE enrollment.person_id END,
  allow_similar = EXCLUDED.allow_similar, attempts = 0,
  next_attempt_time = CASE WHEN enrollment.state = 1 AND enrollment.person_id = EXCLUDED.person_id
    THEN enrollment.next_attempt_time ELSE now() END
""")


class Row(NamedTuple):
    """A face at a recognizer, held by who works on it."""

    face_id: UUID
    recognizer: str
    recognizer_collection: str
    person_id: UUID
    external_face_id: str
    content_sha256: bytes
    state: int
    status: bytes
    allow_similar: bool
    attempts: int
    claim_time: datetime | None
    """Its next_attempt_time, unless a trigger sets another."""
    owner_id: UUID | None
    """Who the face is decided to be; None: nobody any more."""
    owner_name: str

    @property
    def is_owners(self) -> bool:
        """Whether the face is decided to be who it is enrolled as."""
        return self.owner_id == self.person_id

    @property
    def is_sent(self) -> bool:
        """Whether the recognizer may have the face."""
        return self.state != REFUSED and bool(self.external_face_id or self.content_sha256)


class Wish(NamedTuple):
    """A face that is to be enrolled."""

    face_id: UUID
    recognizer: str
    person_id: UUID
    allow_similar: bool


@asynccontextmanager
async def alone(database: Database, collection_id: int) -> AsyncIterator[None]:
    """Be the only one who brings the collection's enrollments up to date: whoever else wants to waits."""
    async with database.driver() as driver:
        await driver.execute("SELECT pg_advisory_lock($1, $2)", _LOCK, collection_id)
        try:
            yield
        finally:
            await driver.execute("SELECT pg_advisory_unlock($1, $2)", _LOCK, collection_id)


async def due(database: Database) -> list[int]:
    """Return the collections in which there is something to do."""
    async with database.begin() as connection:
        return list((await connection.execute(_DUE)).scalars())


async def wish(connection: AsyncConnection, wishes: Sequence[Wish]) -> None:
    """Write down faces that are to be enrolled; those that are stay. The collection's people are held alone."""
    if wishes:
        await connection.execute(_WISH, [one._asdict() for one in sorted(wishes)])


async def claim(database: Database, collection_id: int, face_ids: Iterable[UUID] | None = None) -> list[Row]:
    """Return some rows with something to do, or all of these faces; who asks is alone with them."""
    values: dict[str, Any] = {"collection_id": collection_id, "most": _MOST if face_ids is None else None}
    async with database.begin() as connection:
        await hold(connection, collection_id, alone=True)
        if face_ids is None:
            claimed = await connection.execute(_CLAIM_DUE, values)
        else:
            claimed = await connection.execute(_CLAIM_THESE, values | {"ids": list(face_ids)})
        keys = {tuple(one) for one in claimed}
        facts = await connection.execute(_OF_FACES, {"ids": [key[0] for key in keys]})
        rows = [one for one in facts if (one.face_id, one.recognizer, one.recognizer_collection) in keys]
    return [_row(one) for one in rows]


async def rows_of(connection: AsyncConnection, recognizer: str, person_ids: Iterable[UUID]) -> list[Row]:
    """Return the rows of people at a recognizer's default collection."""
    found = await connection.execute(_OF_PEOPLE, {"ids": list(person_ids)})
    return [_row(one) for one in found if (one.recognizer, one.recognizer_collection) == (recognizer, "")]


async def rows_at(connection: AsyncConnection, face_ids: Iterable[UUID]) -> list[Row]:
    """Return the rows of faces."""
    return [_row(one) for one in await connection.execute(_OF_FACES, {"ids": list(face_ids)})]


async def people_at(connection: AsyncConnection, collection_id: int, recognizer: str) -> set[UUID]:
    """Return whose faces were sent to a recognizer."""
    values = {"collection_id": collection_id, "recognizer": recognizer}
    return {UUID(int=one.int) for one in (await connection.execute(_PEOPLE, values)).scalars()}


async def again(connection: AsyncConnection, row: Any, *, is_missing: bool) -> None:
    """Have a row looked at again, unless it is another one by now. A face that is missing is sent anew."""
    values = {"face_id": UUID(str(row.face_id)), "state": WAITING if is_missing else ENROLLED}
    own = {"recognizer": row.recognizer, "external_face_id": row.external_face_id}
    await connection.execute(_AGAIN, values | own)


async def send(database: Database, rows: Iterable[Row], sha256: bytes) -> None:
    """Write down that recognizers may have this picture of a face from now on."""
    async with database.begin() as connection:
        for row in rows:
            await connection.execute(update(enrollment).where(*_key(row)).values(content_sha256=sha256))


async def write(database: Database, collection_id: int, changes: Iterable[tuple[Row, dict[str, Any] | None]]) -> None:
    """Write down what came of rows: their new values, nothing to be done any more; or None, and they go.

    A row that has something else to do since it was claimed keeps that.
    """
    async with database.begin() as connection:
        await hold(connection, collection_id, alone=True)
        for row, values in changes:
            if values is None:
                await connection.execute(enrollment.delete().where(*_key(row)))
                continue
            own = {"next_attempt_time": None, "attempts": 0, "status": b""} | values
            then = own.pop("next_attempt_time")
            await connection.execute(
                update(enrollment).where(*_key(row)).values(next_attempt_time=_unless_due(row, then), **own)
            )


def setback(row: Row, failure: status_pb2.Status) -> dict[str, Any]:
    """Return the values of a row that is tried again later."""
    first, most = _PAUSE_SECONDS
    pause = min(most, first * 2.0 ** min(row.attempts, 16))
    later = text(f"now() + make_interval(secs => {pause})")
    return {"status": failure.SerializeToString(), "attempts": row.attempts + 1, "next_attempt_time": later}


def view(row: Any) -> pb.FaceEnrollment:
    """Return a row as callers see it."""
    return pb.FaceEnrollment(
        face_id=str(row.face_id),
        person_id=str(row.person_id),
        recognizer=row.recognizer,
        external_face_id=row.external_face_id,
        state=row.state,
        status=status_pb2.Status.FromString(row.status),
    )


def _unless_due(row: Row, then: Any) -> Any:
    """Return the time of the next attempt: `then`, unless a trigger has set another since the row was claimed."""
    columns = enrollment.c
    return case(
        (columns.next_attempt_time == row.claim_time, null() if then is None else then), else_=columns.next_attempt_time
    )


def _key(row: Row) -> list[Any]:
    columns = enrollment.c
    return [
        columns.face_id == row.face_id,
        columns.recognizer == row.recognizer,
        columns.recognizer_collection == row.recognizer_collection,
    ]


def _row(one: Any) -> Row:
    return Row(
        face_id=UUID(int=one.face_id.int),
        recognizer=one.recognizer,
        recognizer_collection=one.recognizer_collection,
        person_id=UUID(int=one.person_id.int),
        external_face_id=one.external_face_id,
        content_sha256=bytes(one.content_sha256),
        state=one.state,
        status=bytes(one.status),
        allow_similar=one.allow_similar or one.has_other,
        attempts=one.attempts,
        claim_time=one.next_attempt_time,
        owner_id=UUID(int=one.owner_id.int) if one.owner_id else None,
        owner_name=one.owner_name or "",
    )
