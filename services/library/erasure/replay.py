"""The replay: what the log of erasures has, and a database that was restored does not know, is erased again."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import people_pb2 as pb
from services.library.database.database import Database
from services.library.database.people_tables import person
from services.library.database.tables import TombstoneKind, collection, picture, place, tombstone
from services.library.erasure.erasure import Erasure
from services.library.erasure.person.erasure import PersonErasure
from services.library.erasure.tombstones import Tombstones, Trace, of_place, rows_of
from services.library.store.store import Store

logger = structlog.get_logger()
_MOST = 1000
_FAR = timedelta(days=1)
"""Into the future, since the log's clock may be ahead."""
_SECONDS = 60.0
"""For which the erasure of a person is waited for; the maintenance does the rest."""


class Replay:
    """Erases again what the log has."""

    def __init__(
        self, database: Database, log: Store, tombstones: Tombstones, erasure: Erasure, people: PersonErasure
    ) -> None:
        self._database = database
        self._log = log
        self._tombstones = tombstones
        self._erasure = erasure
        self._people = people

    async def run(self) -> None:
        """Erase all of that; return once nothing is found by it."""
        entries = [one async for names in self._log.names(datetime.now(UTC) + _FAR) for one in await self._new(names)]
        lost: dict[int, list[dict[str, Any]]] = {}
        for name in entries:
            for row in rows_of(await self._log.read(name) or b"[]"):
                lost.setdefault(row["collection_id"], []).append(row)
        for collection_id, rows in lost.items():
            await self._again(collection_id, rows)

    async def _new(self, names: Sequence[str]) -> list[str]:
        """Return the entries of which the database has no tombstone."""
        keys = {_key(name): name for name in names if name.count("/") == 1}
        found: set[tuple[int, bytes]] = set()
        listed = list(keys)
        for start in range(0, len(listed), _MOST):
            some = listed[start : start + _MOST]
            own = tuple_(tombstone.c.collection_id, tombstone.c.digest).in_(some)
            async with self._database.begin() as connection:
                rows = await connection.execute(select(tombstone.c.collection_id, tombstone.c.digest).where(own))
                found |= {(row.collection_id, bytes(row.digest)) for row in rows}
        return [name for key, name in keys.items() if key not in found]

    async def _again(self, collection_id: int, rows: list[dict[str, Any]]) -> None:
        digests = {row["digest"] for row in rows}
        kinds = {row["kind"] for row in rows}
        async with self._database.begin() as connection:
            name = (
                await connection.execute(select(collection.c.name).where(collection.c.collection_id == collection_id))
            ).scalar_one_or_none()
            if name is None:
                return
            people = await self._people_of(connection, collection_id, digests) if TombstoneKind.PERSON in kinds else []
            pictures = [
                picture_id
                async for picture_id, traces in _pictures(connection, collection_id)
                if kinds - {TombstoneKind.PERSON}
                and await self._tombstones.among(connection, collection_id, traces, digests)
            ]
        logger.info("erasures replayed", collection=name, people=len(people), pictures=len(pictures))
        for person_id in people:
            request = pb.ErasePersonRequest(collection=name, person_id=str(person_id))
            await self._people.go_on(await self._people.begin(request, person_id), _SECONDS)
        for picture_id in pictures:
            await self._erasure.take(picture_id, name, "restored")
        async with self._database.begin() as connection:  # last: whoever is ended before begins anew
            await connection.execute(insert(tombstone).on_conflict_do_nothing(), rows)

    async def _people_of(self, connection: AsyncConnection, collection_id: int, digests: set[bytes]) -> list[UUID]:
        own = select(person.c.person_id).where(person.c.collection_id == collection_id, person.c.merged_id.is_(None))
        return [
            UUID(int=one.int)
            for one in (await connection.execute(own)).scalars()
            if await self._tombstones.among(connection, collection_id, [Trace.of_person(str(one))], digests)
        ]


async def _pictures(connection: AsyncConnection, collection_id: int) -> AsyncIterator[tuple[UUID, list[Trace]]]:
    """Yield the collection's pictures with what they are known by."""
    columns = picture.c
    own = select(columns.picture_id, columns.sha256).where(
        columns.collection_id == collection_id, columns.redirect_id.is_(None), columns.sha256.isnot(None)
    )
    for row in await connection.execute(own):
        yield UUID(int=row.picture_id.int), [Trace.of_content(bytes(row.sha256))]
    unread = select(place).join(picture, columns.picture_id == place.c.picture_id)
    unread = unread.where(columns.collection_id == collection_id, columns.sha256.is_(None), place.c.bucket != "")
    for row in await connection.execute(unread):
        yield UUID(int=row.picture_id.int), list(of_place(row, is_read=False))


def _key(name: str) -> tuple[int, bytes]:
    collection_id, _, rest = name.partition("/")
    return int(collection_id), bytes.fromhex(rest.partition("-")[0])
