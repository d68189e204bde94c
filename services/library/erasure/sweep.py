"""The sweep: files in the store that no picture has, such as of a process that ended before it wrote the row."""

import hashlib
import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import select, tuple_

from services.library.database.database import Database
from services.library.database.tables import picture, tombstone_key
from services.library.store.store import Store
from services.runtime.errors import Misconfigured

logger = structlog.get_logger()
_AGE = timedelta(hours=24)
"""Least age of a file that is swept: whoever wrote it has ended."""
_MOST = 1000
"""Files of which one statement asks: a folder of a large collection has more than a statement parameters."""
_SECONDS_BETWEEN = 24 * 3600.0
_OURS = re.compile(r"([0-9]+)/[0-9a-f]{2}/\.?([0-9a-f]{64})(?:\.webp)?(?:\.[0-9a-f]{32}\.partial)?")
_OWNER = "library"
"""Name of the file that tells whose store it is."""


class Sweep:
    """The sweep, once a day and process."""

    def __init__(self, database: Database, store: Store) -> None:
        self._database = database
        self._store = store
        self._next = time.monotonic() + _SECONDS_BETWEEN / 24

    async def step(self) -> bool:
        """Sweep if a day has passed since the last time."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _SECONDS_BETWEEN
            await self.run(datetime.now(UTC) - _AGE)
        return False

    async def run(self, before: datetime) -> int:
        """Erase files without a picture that were written last before this time, and return how many.

        Only names that the library gives are looked at. Raises Misconfigured for a store of another database.
        """
        await self._check_owner()
        count = 0
        async for names in self._store.names(before):
            for start in range(0, len(names), _MOST):
                for name in await self._without_picture(names[start : start + _MOST]):
                    count += bool(await self._store.erase(name, before))
        if count:
            logger.info("files without a picture erased", count=count)
        return count

    async def _without_picture(self, names: Iterable[str]) -> list[str]:
        ours = {name: (int(found[1]), bytes.fromhex(found[2])) for name in names if (found := _OURS.fullmatch(name))}
        if not ours:
            return []
        key = tuple_(picture.c.collection_id, picture.c.sha256)
        async with self._database.begin() as connection:
            rows = await connection.execute(
                select(picture.c.collection_id, picture.c.sha256).where(key.in_(ours.values()))
            )
            known = {(row.collection_id, bytes(row.sha256)) for row in rows}
        return [name for name, whose in ours.items() if whose not in known or name.endswith(".partial")]

    async def _check_owner(self) -> None:
        async with self._database.begin() as connection:
            key = select(tombstone_key.c.key).order_by(tombstone_key.c.create_time).limit(1)
            own = hashlib.sha256(bytes((await connection.execute(key)).scalar_one())).hexdigest().encode()
        await self._store.write(_OWNER, own)
        if await self._store.read(_OWNER) != own:
            raise Misconfigured(
                "The library's store belongs to another database, so no file is swept there. Give each a store of its "
                f"own with MARQUEE_LIBRARY_STORE; if this database has replaced the other, erase the file {_OWNER!r}."
            )
