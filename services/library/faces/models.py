"""Models whose vectors the library has, and which of them a collection's people are compared by.

A model with many vectors has an HNSW index of its own, which is built while all else goes on.
"""

from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog
from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import people_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.library.database.database import Database
from services.library.database.people_tables import face_vector, used_model, vector_model
from services.library.grouping.bands import Space, space_of
from services.library.work.answers import stored
from services.library.work.worker import forever
from services.runtime.errors import ModelNotFound

logger = structlog.get_logger()

FEW = 5_000
"""Vectors that are compared one by one, since that takes no longer than an index does."""
OPERATORS = {"l2": "<->", "cosine": "<=>"}
"""By which vectors are compared, by metric."""
_MOST_MODELS = 100
_MODELS = text("""
SELECT model_id, name, version, metric, dimensions, CASE WHEN CAST(:counted AS boolean) THEN (
  SELECT count(*) FROM face_vector
  WHERE face_vector.collection_id = :collection_id AND face_vector.model_id = vector_model.model_id
) ELSE 0 END AS face_count
FROM vector_model WHERE CAST(:model_id AS integer) IN (0, model_id) ORDER BY model_id DESC
""")
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


@dataclass(frozen=True)
class Model:
    """A model; a row of vector_model."""

    model_id: int
    name: str
    version: str
    metric: str
    dimensions: int
    indexed: bool
    """Whether its vectors have an index."""

    @property
    def operator(self) -> str:
        """SQL's operator of the distance."""
        return OPERATORS[self.metric]

    @property
    def column_type(self) -> HALFVEC:
        """SQL's type of its vectors."""
        return HALFVEC(self.dimensions)


async def number_of(connection: AsyncConnection, embedding: recognizer_pb2.Embedding) -> int | None:
    """Return the number of the model that gave the embedding, which is new or known.

    None: it is compared in a way that the library does not know, or is of another length than the model's others.
    """
    if embedding.metric not in OPERATORS:
        return None
    name, version, metric = stored(embedding.model), stored(embedding.version), embedding.metric
    columns, length = vector_model.c, len(embedding.values)
    its = (columns.name == name, columns.version == version, columns.metric == metric)
    own = select(columns.model_id, columns.dimensions).where(*its).order_by(columns.model_id).limit(1)
    found = (await connection.execute(own)).one_or_none()
    if found is None:
        values = {"name": name, "version": version, "metric": metric, "dimensions": length}
        await connection.execute(insert(vector_model).values(values).on_conflict_do_nothing())
        found = (await connection.execute(own)).one()
    return found.model_id if found.dimensions == length else None


async def use_first(connection: AsyncConnection, collection_id: int, model_id: int) -> int:
    """Return the number of the model that the collection uses: this one if it has used none yet."""
    values = {"collection_id": collection_id, "model_id": model_id}
    await connection.execute(insert(used_model).values(values).on_conflict_do_nothing())
    own = select(used_model.c.model_id).where(used_model.c.collection_id == collection_id)
    return int((await connection.execute(own)).scalar_one())


async def use(connection: AsyncConnection, collection_id: int, model_id: int) -> None:
    """Have the collection use a model of which it has vectors. Raises ModelNotFound."""
    own = (face_vector.c.collection_id == collection_id, face_vector.c.model_id == model_id)
    if (await connection.execute(select(face_vector.c.face_id).where(*own).limit(1))).first() is None:
        raise ModelNotFound(f"The collection has no vectors of a model {model_id}.", field="model_id")
    values = {"model_id": model_id, "assign_distance": None, "suggest_distance": None}
    statement = insert(used_model).values(collection_id=collection_id, **values)
    its = used_model.c.model_id != model_id
    again = statement.on_conflict_do_update(index_elements=[used_model.c.collection_id], set_=values, where=its)
    await connection.execute(again)


async def used(connection: AsyncConnection, collection_id: int) -> Model | None:
    """Return the model that the collection uses; None: it has no vectors yet."""
    own = select(vector_model).join(used_model).where(used_model.c.collection_id == collection_id)
    row = (await connection.execute(own)).one_or_none()
    return None if row is None else _model(row)


async def model(connection: AsyncConnection, model_id: int) -> Model:
    """Return the model. Raises ModelNotFound."""
    row = (await connection.execute(select(vector_model).where(vector_model.c.model_id == model_id))).one_or_none()
    if row is None:
        raise ModelNotFound(f"The library has no vectors of a model {model_id}.", field="model_id")
    return _model(row)


async def shown(
    connection: AsyncConnection, collection_id: int, model_id: int = 0, *, counted: bool = True
) -> list[pb.VectorModel]:
    """Return the models of which the collection has vectors, newest first; or one of them, whether it has or not.

    Counting the faces takes the longer the more there are.
    """
    values = {"collection_id": collection_id, "model_id": model_id, "counted": counted}
    rows = (await connection.execute(_MODELS, values)).all()
    space = await space_of(connection, collection_id)
    return [_shown(row, space) for row in rows if model_id or row.face_count][:_MOST_MODELS]


class Indexes:
    """The indexes of all models. `mib`: memory that building one may take, in the database."""

    def __init__(self, database: Database, mib: int, few: int = FEW) -> None:
        """Build those of models that have more than a few vectors."""
        self._database = database
        self._mib = mib
        self._few = few

    async def run(self) -> None:
        """Build what is missing, again and again, until cancelled."""
        await forever(self._build_some, "building of indexes", _SECONDS)

    async def _build_some(self) -> None:
        await self.build()

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


def _model(row: Any) -> Model:
    return Model(row.model_id, row.name, row.version, row.metric, row.dimensions, row.indexed)


def _shown(row: Any, space: Space | None) -> pb.VectorModel:
    found = pb.VectorModel(
        model_id=row.model_id,
        name=row.name,
        version=row.version,
        metric=row.metric,
        dimensions=row.dimensions,
        face_count=row.face_count,
        used=space is not None and space.model_id == row.model_id,
    )
    if space is not None and found.used and space.bands is not None:
        found.assign_distance, found.suggest_distance = map(space.own, (space.bands.assign, space.bands.suggest))
        found.distances_from = space.source
    return found
