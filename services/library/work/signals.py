"""Signals between replicas, by LISTEN and NOTIFY: that there are jobs, that some have ended, and new facts of faces.

They only save waiting: whoever waits looks every second besides, since a signal may be lost with its connection, and
none passes a pooler that lends connections by the transaction.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection
from contextlib import suppress
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import func, select

from services.library.database.database import Database
from services.library.database.tables import job, picture
from services.library.work.queue import OPEN, QUEUED
from services.runtime.errors import DependencyUnavailable
from services.runtime.server.deadline import deadline

logger = structlog.get_logger()
POLL_SECONDS = 1.0
FACES = "faces"
"""News of faces to look at."""
_CHANNEL = "marquee_library"
_NOTIFY = "SELECT pg_notify($1, news) FROM unnest($2::text[]) AS news"
_PAUSE_SECONDS = 0.02
"""Between two messages to other replicas: what happens meanwhile goes into one."""
_IDLE_SECONDS = 30.0
"""After which a silent connection is tried."""
_RESERVE_SECONDS = 0.5
"""Of a call's deadline, for its answer."""


class Signals:
    """Signals of one replica."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._topics = {QUEUED: asyncio.Event(), FACES: asyncio.Event()}
        self._ended: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._outbox: set[str] = set()
        self._has_mail = asyncio.Event()
        database.on_news = self._tell

    async def run(self) -> None:
        """Pass signals on until cancelled."""
        while True:
            try:
                async with self._database.driver() as driver:
                    await driver.add_listener(_CHANNEL, lambda *message: self._hear(message[-1]))
                    await self._send(driver)
            except DependencyUnavailable as exc:
                logger.warning("no signals for now", error=exc.message)
            except Exception:
                logger.exception("signals failed")
            await asyncio.sleep(POLL_SECONDS)

    async def queued(self) -> None:
        """Return when there may be new jobs, after a second at the latest."""
        await _set_within(self._topics[QUEUED], POLL_SECONDS)

    async def faces(self) -> None:
        """Return when there may be faces to look at, after a second at the latest."""
        await _set_within(self._topics[FACES], POLL_SECONDS)

    async def until_ended(self, picture_id: UUID) -> None:
        """Return once nothing is left to do for the picture, or when the call's deadline is near."""
        end, event, waiting = deadline() - _RESERVE_SECONDS, asyncio.Event(), self._ended[str(picture_id)]
        waiting.add(event)
        try:
            while (left := end - time.monotonic()) > 0 and await self._is_open(picture_id):
                await _set_within(event, min(left, POLL_SECONDS))
        finally:
            waiting.discard(event)
            if not waiting:
                self._ended.pop(str(picture_id), None)

    async def _is_open(self, picture_id: UUID) -> bool:
        it = func.coalesce(picture.c.redirect_id, picture.c.picture_id)
        found = select(job.c.job_id).join(picture, job.c.picture_id.in_((picture.c.picture_id, it)))
        statement = found.where(picture.c.picture_id == picture_id, job.c.state.in_(OPEN)).limit(1)
        async with self._database.begin() as connection:
            return (await connection.execute(statement)).first() is not None

    def _tell(self, news: Collection[str]) -> None:
        for one in news:
            self._hear(one)
        self._outbox.update(news)
        self._has_mail.set()

    def _hear(self, news: str) -> None:
        for event in (self._topics[news],) if news in self._topics else self._ended.get(news, ()):
            event.set()

    async def _send(self, driver: Any) -> None:
        while True:
            await _set_within(self._has_mail, _IDLE_SECONDS)
            news, self._outbox = self._outbox, set()
            await driver.execute(_NOTIFY, _CHANNEL, sorted(news))
            await asyncio.sleep(_PAUSE_SECONDS)


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):  # wait_for may lose a cancellation, until Python 3.12
            await event.wait()
    event.clear()
