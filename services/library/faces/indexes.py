"""Indexes of vectors: an HNSW index for each model that has many, built while all else goes on."""

import asyncio
from typing import Any

import asyncpg
import structlog
from sqlalchemy import text, update

from services.library.database.database import Database
from services.library.database.people_tables import vector_model
from services.library.faces.models import OPERATORS
from services.library.faces.neighbours import EXACT
from services.runtime.errors import DomainError

logger = structlog.get_logger()
_LOCK = 0x6D617276
"""Advisory lock of the replica that builds."""
_SECONDS = 10.0
_MOST_DIMENSIONS = 4_000
"""That pgvector indexes."""
_DUE = text("""
SELECT model_id, metric, dimensions FROM vector_model
WHERE NOT indexed AND dimensions <= :most AND metric = ANY(:metrics) AND EXISTS (
  SELECT FROM face_vector WHERE face_vector.model_id = vector_model.model_id OFFSET :few
)
ORDER BY model_id
""")
_LOST = text("""
UPDATE vector_model SET indexed = false WHERE indexed AND NOT EXISTS (
  SELECT FROM pg_index WHERE indisvalid AND indexrelid = to_regclass('face_vector_model_' || model_id || '_idx')
)
""")


class Indexes:
    """The indexes of all models. `mib`: memory that building one may take, in the database."""

    def __init__(self, database: Database, mib: int, few: int = EXACT) -> None:
        """Build those of models that have more than a few vectors."""
        self._database = database
        self._mib = mib
        self._few = few

    async def run(self) -> None:
        """Build what is missing, again and again, until cancelled."""
        while True:
            try:
                await self.build()
            except DomainError as exc:
                logger.warning("indexes of vectors wait", error=exc.message)
            except Exception:
                logger.exception("an index of vectors cannot be built")
            await asyncio.sleep(_SECONDS)

    async def build(self) -> int:
        """Build the indexes that are missing, unless another replica does; return how many were built."""
        async with self._database.begin() as connection:
            await connection.execute(_LOST)
            values = {"most": _MOST_DIMENSIONS, "few": self._few, "metrics": list(OPERATORS)}
            due = (await connection.execute(_DUE, values)).all()
        if not due:
            return 0
        async with self._database.driver() as driver:
            if not await driver.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
                return 0
            for row in due:
                await self._build(driver, row)
        return len(due)

    async def _build(self, driver: Any, row: Any) -> None:
        name = f"face_vector_model_{row.model_id}_idx"
        create = (
            f"CREATE INDEX CONCURRENTLY {name} ON face_vector"
            f" USING hnsw (CAST(vector AS halfvec({row.dimensions})) halfvec_{row.metric}_ops)"
            f" WHERE model_id = {row.model_id}"
        )
        await driver.execute(f"SET maintenance_work_mem = '{self._mib}MB'")
        try:
            await self._make(driver, name, create)
        except asyncpg.DiskFullError:  # of shared memory, which in a container is often small
            await driver.execute("SET max_parallel_maintenance_workers = 0")
            await self._make(driver, name, create)
        async with self._database.begin() as connection:
            own = update(vector_model).where(vector_model.c.model_id == row.model_id)
            await connection.execute(own.values(indexed=True))
        logger.info("vectors are indexed", index=name)

    async def _make(self, driver: Any, name: str, create: str) -> None:
        await driver.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # one that was not finished
        await driver.execute(create)
