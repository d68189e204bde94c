"""Models whose vectors the library has, and which of them a collection's people are compared by."""

from dataclasses import dataclass
from typing import Any

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.v1 import recognizer_pb2
from services.library.database.people_tables import used_model, vector_model
from services.library.work.answers import stored
from services.runtime.errors import ModelNotFound

OPERATORS = {"l2": "<->", "cosine": "<=>"}
"""By which vectors are compared, by metric."""


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


def _model(row: Any) -> Model:
    return Model(row.model_id, row.name, row.version, row.metric, row.dimensions, row.indexed)
