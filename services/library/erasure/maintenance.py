"""Maintenance: what has to be done in the library while nobody calls, by one replica at a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import and_, func, select, text, update

from marquee.library.v1 import library_pb2 as pb
from services.library.database.database import Database
from services.library.database.tables import receipt
from services.library.erasure import receipts, retention
from services.library.erasure.erasure import Erasure
from services.library.settings import LibrarySettings
from services.runtime.errors import DomainError

logger = structlog.get_logger()
Step = Callable[[], Awaitable[bool]]
"""Does some of its work, and returns whether there may be more."""
_LOCK = 0x6D617272
"""Advisory lock of the replica whose turn it is."""
_SECONDS = 10.0
_SECONDS_OF_CATEGORIES = 600.0
"""Between two looks at categories with a time of their own."""
_MOST = 200
"""Pictures or receipts that a step is about, so that it ends soon."""
_MOST_REQUESTS = 5000
_REPEATABLE = timedelta(hours=24)
"""For which a request may be repeated, and a receipt names files and places."""
_OLD_REQUESTS = text("""
DELETE FROM request WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM request WHERE create_time < now() - CAST(:age AS interval) LIMIT :most
))
""")


class Maintenance:
    """The trash and retention, erasures that were interrupted, what is kept for a day, and steps of others."""

    def __init__(
        self, database: Database, erasure: Erasure, settings: LibrarySettings, others: Sequence[Step] = ()
    ) -> None:
        """Do steps of others, too."""
        self._database = database
        self._erasure = erasure
        self._rules = retention.rules_of(settings.library_retention)
        self._categories_at = 0.0
        self._settle = timedelta(seconds=2 * settings.library_lease_seconds)
        own = (self._write_rules, self._expire, self._complete, self._shorten, self._drop_requests)
        self._steps: tuple[Step, ...] = (*own, *others)

    async def run(self) -> None:
        """Do what there is to do, again and again, until cancelled."""
        while True:
            more = await self.turn()
            await asyncio.sleep(0 if more else _SECONDS)

    async def turn(self) -> bool:
        """Do some of each step, and return whether there may be more; nothing while it is another replica's turn."""
        try:
            async with self._database.driver() as driver:
                if not await driver.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
                    return False
                more = any([await self._try(step) for step in self._steps])
                await driver.fetchval("SELECT pg_advisory_unlock($1)", _LOCK)  # else the connection's end does it
                return more
        except DomainError as exc:
            logger.warning("maintenance waits", error=exc.message)
            return False

    async def _try(self, step: Step) -> bool:
        try:
            return await step()
        except DomainError as exc:
            logger.warning("maintenance failed", step=repr(step), error=exc.message)
        except Exception:
            logger.exception("maintenance failed", step=repr(step))
        return False

    async def _write_rules(self) -> bool:
        async with self._database.begin() as connection:
            await retention.write(connection, self._rules)
        return False

    async def _expire(self) -> bool:
        """Erase pictures whose time in the trash has passed, or that are to be kept no longer."""
        async with self._database.begin() as connection:
            in_categories = time.monotonic() >= self._categories_at
            found = await retention.due(connection, _MOST, in_categories=in_categories)
        if in_categories and len(found) < _MOST:
            self._categories_at = time.monotonic() + _SECONDS_OF_CATEGORIES
        for row in found:
            await self._erasure.expire(UUID(int=row.picture_id.int), row.name)
        return len(found) >= _MOST

    async def _complete(self) -> bool:
        """Erase the files of erasures that were interrupted, or that a worker may have written after."""
        columns = receipt.c
        is_open = and_(~columns.complete, columns.create_time < func.now() - self._settle)
        found = select(columns.receipt_id).where(is_open, ~columns.brief).order_by(columns.create_time).limit(_MOST)
        async with self._database.begin() as connection:
            ids = (await connection.execute(found)).scalars().all()
        for receipt_id in ids:
            await self._erasure.complete(UUID(int=receipt_id.int))
        return len(ids) >= _MOST

    async def _shorten(self) -> bool:
        """Take the names of files and places out of receipts that are a day old."""
        columns = receipt.c
        is_old = and_(columns.complete, ~columns.brief, columns.create_time < func.now() - _REPEATABLE)
        found = select(columns.receipt_id, columns.content).where(is_old).limit(_MOST).with_for_update()
        async with self._database.begin() as connection:
            rows = (await connection.execute(found)).all()
            for row in rows:
                content = receipts.brief(pb.ErasureReceipt.FromString(row.content)).SerializeToString()
                own = update(receipt).where(columns.receipt_id == row.receipt_id)
                await connection.execute(own.values(content=content, files=[], brief=True))
        return len(rows) >= _MOST

    async def _drop_requests(self) -> bool:
        async with self._database.begin() as connection:
            values = {"age": _REPEATABLE, "most": _MOST_REQUESTS}
            return (await connection.execute(_OLD_REQUESTS, values)).rowcount >= _MOST_REQUESTS
