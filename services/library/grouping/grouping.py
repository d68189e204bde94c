"""Grouping: the worker that looks at faces, new ones and those of which a fact has changed.

Of a collection one replica looks at a time, some faces in a transaction, so that a kill leaves no face half looked at.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import ARRAY, BigInteger, Uuid, any_, column, delete, func, literal, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.library.database.change import Change, Changes
from services.library.database.people_tables import stale_face
from services.library.database.tables import collection, face
from services.library.grouping import bands
from services.library.grouping.look import Looks
from services.library.people import actions, faces
from services.library.work.signals import Signals
from services.runtime.errors import DependencyUnavailable

logger = structlog.get_logger()
_LOCK = 0x6D617274
"""Advisory lock of the replica that looks at a collection's faces, with the collection's number."""
_MOST = 64
"""New faces that a transaction is about, with all of their pictures, and as many others."""
_WAITING = text("""
SELECT DISTINCT waiting.collection_id FROM (
  (SELECT picture.collection_id FROM face JOIN picture USING (picture_id) WHERE tried_time IS NULL LIMIT 1000)
  UNION ALL (
    SELECT coalesce(picture.collection_id, cluster.collection_id) FROM stale_face
    LEFT JOIN face USING (face_id) LEFT JOIN picture USING (picture_id)
    LEFT JOIN cluster ON cluster.cluster_id = stale_face.cluster_id
    ORDER BY stale_id LIMIT 1000
  )
) AS waiting (collection_id)
""")
_NEW = text("""
SELECT DISTINCT picture_id FROM (
  SELECT face.picture_id FROM face JOIN picture USING (picture_id)
  WHERE tried_time IS NULL AND picture.collection_id = :collection_id ORDER BY face.create_time LIMIT :most
) AS waiting
""").columns(column("picture_id", Uuid))
_STALE = text("""
SELECT stale_id, stale_face.face_id, stale_face.cluster_id, spread, face.picture_id FROM stale_face
LEFT JOIN face USING (face_id) LEFT JOIN picture USING (picture_id)
LEFT JOIN cluster ON cluster.cluster_id = stale_face.cluster_id
WHERE coalesce(picture.collection_id, cluster.collection_id) = :collection_id
ORDER BY stale_id LIMIT :most
""").columns(
    column("stale_id", BigInteger),
    column("face_id", Uuid),
    column("cluster_id", Uuid),
    column("spread"),
    column("picture_id", Uuid),
)
_LOST = text("""
DELETE FROM stale_face WHERE NOT EXISTS (SELECT FROM face WHERE face.face_id = stale_face.face_id)
  AND NOT EXISTS (SELECT FROM cluster WHERE cluster.cluster_id = stale_face.cluster_id)
""")
_RESTART = (
    text("""
UPDATE face SET cluster_id = NULL FROM picture
WHERE picture.picture_id = face.picture_id AND collection_id = :collection_id AND cluster_id IS NOT NULL
"""),
    text("DELETE FROM cluster WHERE collection_id = :collection_id"),
    text("""
INSERT INTO stale_face (face_id)
SELECT face_id FROM face JOIN picture USING (picture_id)
WHERE collection_id = :collection_id AND tried_time IS NOT NULL
"""),
)


class _Taken(NamedTuple):
    """Faces to look at."""

    new: dict[UUID, UUID]
    """Faces that were never looked at, with their pictures."""
    stale: dict[UUID, bool]
    """Others, with whether those near them are to be looked at again."""
    left: set[UUID]
    """Clusters that faces have left."""


class Grouping:
    """Looks at faces."""

    def __init__(self, changes: Changes, signals: Signals) -> None:
        self._changes = changes
        self._signals = signals

    async def run(self) -> None:
        """Look at faces as they come, until cancelled."""
        while True:
            try:
                if await self.step():
                    continue
            except DependencyUnavailable as exc:
                logger.warning("grouping waits for the database", error=exc.message)
            except Exception:
                logger.exception("grouping failed")
            await self._signals.faces()

    async def step(self) -> bool:
        """Look at some faces; return whether there were any that no other replica looks at."""
        async with self._changes.database.begin() as connection:
            waiting = list((await connection.execute(_WAITING)).scalars())
            if None in waiting:
                await connection.execute(_LOST)
            its = collection.c.collection_id.in_([one for one in waiting if one is not None])
            names = list((await connection.execute(select(collection.c.name).where(its))).scalars())
        for name in names:
            async with self._changes.begin(name) as change:
                if await self._look(change):
                    return True
        return False

    async def _look(self, change: Change) -> bool:
        connection, collection_id = change.connection, change.collection_id
        mine = select(func.pg_try_advisory_xact_lock(_LOCK, collection_id))
        if not (await connection.execute(mine)).scalar():
            return False
        await actions.hold(connection, collection_id)
        space = await bands.space_of(connection, collection_id)
        taken = await _take(change)
        named = set()
        if space is not None and space.bands is not None:
            looks = Looks(connection, collection_id, space, space.bands)
            await looks.recount(taken.left)
            for face_id in [*taken.stale, *(one for one in taken.new if one not in taken.stale)]:
                if await looks.look(face_id, spread=taken.stale.get(face_id, False)):
                    named.add(face_id)
        await _conclude(change, taken, named)
        return bool(taken.new or taken.stale or taken.left)


async def restart(connection: AsyncConnection, collection_id: int) -> None:
    """Have all faces of a collection, whose people are compared otherwise from now on, looked at again."""
    for statement in _RESTART:
        await connection.execute(statement, {"collection_id": collection_id})


async def _take(change: Change) -> _Taken:
    """Lock the pictures of faces to look at, and take these from the queue."""
    connection = change.connection
    values = {"collection_id": change.collection_id, "most": _MOST}
    pictures = list((await connection.execute(_NEW, values)).scalars())
    rows = (await connection.execute(_STALE, values)).all()
    locked = await faces.lock(connection, [*pictures, *(row.picture_id for row in rows if row.picture_id)])
    ids = literal([row.stale_id for row in rows], ARRAY(BigInteger))
    await connection.execute(delete(stale_face).where(stale_face.c.stale_id == any_(ids)))
    columns = face.c
    its = columns.picture_id == any_(literal(locked, ARRAY(Uuid))), columns.tried_time.is_(None)
    new = await connection.execute(
        select(columns.face_id, columns.picture_id).where(*its).order_by(columns.create_time, columns.face_id)
    )
    stale: dict[UUID, bool] = {}
    for row in rows:
        if row.picture_id:
            stale[_id(row.face_id)] = row.spread or stale.get(_id(row.face_id), False)
    left = {_id(row.cluster_id) for row in rows if row.cluster_id}
    return _Taken({_id(row.face_id): _id(row.picture_id) for row in new}, stale, left)


async def _conclude(change: Change, taken: _Taken, named: set[UUID]) -> None:
    """Write down what was looked at, and have pictures follow."""
    connection = change.connection
    new = list(taken.new)
    await connection.execute(update(face).where(_among(new)).values(tried_time=func.now()))
    if named:
        pictures = await connection.execute(select(face.c.picture_id).where(_among(list(named))))
        await faces.refresh(change, [_id(one) for one in pictures.scalars()])
    for picture_id in sorted(set(taken.new.values())):
        await change.record("picture.grouped", picture_id)


def _among(face_ids: Sequence[UUID]) -> Any:
    return face.c.face_id == any_(literal(face_ids, ARRAY(Uuid)))


def _id(key: UUID) -> UUID:
    return UUID(int=key.int)
