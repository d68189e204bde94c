"""Neighbours: the faces whose vectors are nearest to one.

Few vectors are compared one by one, found through an index of their own. Of many, the model's HNSW index yields the
nearest, and goes on until enough of them pass the filters; where it gives up early, all are compared after all.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Double,
    Select,
    Text,
    Uuid,
    any_,
    cast,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.v1 import recognizer_pb2 as pb
from services.library.database.people_tables import face_vector
from services.library.database.tables import face, picture
from services.library.faces import models
from services.library.faces.models import Model
from services.library.faces.vectors import as_text
from services.library.people.faces import is_shown

_SCANNED = 20_000
"""Vectors that the index yields before all are compared instead."""
_LEAST_EF, _MOST_EF = 100, 1000
"""Of the index's list of candidates."""
_INDEX = {"hnsw.iterative_scan": "strict_order", "hnsw.max_scan_tuples": str(_SCANNED), "hnsw.scan_mem_multiplier": "8"}
_PLANS = {"plan_cache_mode": "force_custom_plan"}
"""A plan for whatever limits and filters does ten to twenty times worse than one for those at hand."""
_WAYS = ("enable_sort", "enable_incremental_sort", "enable_hashjoin", "enable_mergejoin")
"""The planner's, which lead past the index: it takes filters for independent of each other, and of who is near."""


class Neighbour(NamedTuple):
    """A face near another."""

    face_id: UUID
    picture_id: UUID
    distance: float
    """By the model's metric."""


class Neighbours(NamedTuple):
    """Faces near others, nearest first."""

    faces: Sequence[Neighbour]
    exact: bool
    """Whether all were compared; else the index may have missed some."""


class Among(NamedTuple):
    """Which faces are looked at."""

    model: Model
    collection_id: int
    pictures: Sequence[ColumnElement[bool]] = ()
    """Conditions of their pictures; none: all that are not in the trash."""
    without: Sequence[UUID] = ()
    """Faces that are left out."""


async def nearest(  # noqa: PLR0913, PLR0917 - all that a search is
    connection: AsyncConnection,
    subject: UUID | Sequence[float],
    model_id: int,
    collection_id: int,
    limit: int,
    max_distance: float | None = None,
) -> list[Neighbour]:
    """Return the faces of the collection nearest to a face, which is not among them, or to a vector; nearest first.

    None that is no face, was erased, or lies in the trash. A face without a vector of the model has no neighbours.
    Raises ModelNotFound.
    """
    model = await models.model(connection, model_id)
    if isinstance(subject, UUID):
        vectors, without = await vectors_of(connection, [subject], model_id), [subject]
    else:
        vectors, without = [as_text(subject)], []
    if not vectors:
        return []
    found = await find(connection, vectors, Among(model, collection_id, without=without), limit, max_distance)
    return list(found.faces)


async def vectors_of(connection: AsyncConnection, face_ids: Sequence[UUID], model_id: int) -> list[str]:
    """Return the vectors of those of the faces that have one of the model, as pgvector writes them."""
    columns = face_vector.c
    its = columns.face_id == any_(literal(list(face_ids), ARRAY(Uuid)))
    own = select(cast(columns.vector, Text)).where(its, columns.model_id == model_id).order_by(columns.face_id)
    return list((await connection.execute(own)).scalars())


async def find(
    connection: AsyncConnection, vectors: Sequence[str], among: Among, limit: int, max_distance: float | None = None
) -> Neighbours:
    """Return the faces nearest to any of the vectors: as many as there are, up to the limit."""
    is_small = bool(among.pictures) or await _is_small(connection, among)
    found = await exact(connection, vectors, among, limit, most=models.FEW) if is_small else None
    is_exact = found is not None
    if found is None and among.model.indexed:
        found = await indexed(connection, vectors, among, limit)
    if found is None:
        found, is_exact = await exact(connection, vectors, among, limit), True
    near = [one for one in found or () if max_distance is None or one.distance <= max_distance]
    return Neighbours(near, is_exact)


async def exact(
    connection: AsyncConnection, vectors: Sequence[str], among: Among, limit: int, most: int | None = None
) -> list[Neighbour] | None:
    """Return the nearest faces, having compared all; None: there are more than `most`."""
    columns, model = face_vector.c, among.model
    candidates = _among(among, columns.face_id, columns.picture_id, columns.vector)
    if most is None:
        own: Any = candidates.subquery("candidates")
        total: Any = literal(0)
    else:
        own = candidates.limit(most + 1).cte("candidates").prefix_with("MATERIALIZED")
        total = select(func.count()).select_from(own).scalar_subquery()
    distances = [_distance(own.c.vector, vector, model) for vector in vectors]
    distance = (func.least(*distances) if len(distances) > 1 else distances[0]).label("distance")
    found = select(own.c.face_id, own.c.picture_id, distance, total.label("total"))
    await _set(connection, _PLANS)
    rows = (await connection.execute(found.order_by(distance, own.c.face_id).limit(limit))).all()
    if most is not None and rows and rows[0].total > most:
        return None
    return [_neighbour(row) for row in rows]


async def indexed(
    connection: AsyncConnection, vectors: Sequence[str], among: Among, limit: int
) -> list[Neighbour] | None:
    """Return the nearest faces as the model's index finds them; None: it gave up before there were enough."""
    ef = min(_MOST_EF, max(_LEAST_EF, 2 * limit))
    await _set(connection, _PLANS | _INDEX | {"hnsw.ef_search": str(ef)} | dict.fromkeys(_WAYS, "off"))
    best: dict[UUID, Neighbour] = {}
    for vector in vectors:
        distance = _distance(_stored(among.model), vector, among.model).label("distance")
        found = _among(among, face_vector.c.face_id, face_vector.c.picture_id, distance)
        rows = (await connection.execute(found.order_by(distance).limit(limit))).all()
        if len(rows) < limit:
            best.clear()
            break
        for one in map(_neighbour, rows):
            if one.face_id not in best or one.distance < best[one.face_id].distance:
                best[one.face_id] = one
    await _set(connection, dict.fromkeys(_WAYS, "on"))
    return sorted(best.values(), key=lambda one: (one.distance, one.face_id))[:limit] or None


async def _is_small(connection: AsyncConnection, among: Among) -> bool:
    """Return whether the collection has few vectors of the model."""
    columns = face_vector.c
    its = (columns.collection_id == among.collection_id, columns.model_id == among.model.model_id)
    some = select(literal(1)).where(*its).offset(models.FEW).limit(1)
    return (await connection.execute(some)).first() is None


def _among(among: Among, *selected: Any) -> Select[Any]:
    columns = face_vector.c
    model_id: ColumnElement[int] = literal_column(str(among.model.model_id))  # as the index's condition has it
    conditions = [
        columns.model_id == model_id,
        columns.collection_id == among.collection_id,
        face.c.current,
        ~face.c.erased,
        face.c.state != pb.VERDICT_STATE_NO_FACE,
        *(among.pictures or [is_shown()]),
    ]
    if among.without:
        conditions.append(columns.face_id != func.all(literal(list(among.without), ARRAY(Uuid))))
    joined = face_vector.join(face, face.c.face_id == columns.face_id)
    return (
        select(*selected)
        .select_from(joined.join(picture, picture.c.picture_id == columns.picture_id))
        .where(*conditions)
    )


def _stored(model: Model) -> ColumnElement[Any]:
    """Return the column as the model's index has it."""
    return cast(face_vector.c.vector, model.column_type)


def _distance(column: Any, vector: str, model: Model) -> ColumnElement[float]:
    """Return the distance of a column's vector from another one, which is read once, not for each row."""
    other = select(cast(literal(vector, Text), model.column_type)).scalar_subquery()
    distance: ColumnElement[float] = column.op(model.operator, return_type=Double())(other)
    return distance


def _neighbour(row: Any) -> Neighbour:
    return Neighbour(UUID(int=row.face_id.int), UUID(int=row.picture_id.int), float(row.distance))


async def _set(connection: AsyncConnection, settings: dict[str, str]) -> None:
    """Set the database's settings until the transaction ends."""
    await connection.execute(
        select(*(func.set_config(name, value, literal(value=True)) for name, value in settings.items()))
    )
