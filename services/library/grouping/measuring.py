"""Measuring the bands of models whose distances nobody knows, on what was decided in a collection."""

import asyncio
import time

import numpy as np
import numpy.typing as npt
from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import Uuid, column, select, text, update

from services.library.database.change import Changes
from services.library.database.people_tables import used_model
from services.library.database.tables import collection
from services.library.grouping import bands
from services.library.grouping.bands import Bands, Space
from services.library.grouping.grouping import restart
from services.library.people import actions

_MOST_FACES = 2000
_SECONDS = 3600.0
_CHANGE = 0.05
"""Least relative change of a distance that is written down."""
_DECIDED = text("""
SELECT coalesce(person.merged_id, person.person_id) AS person_id, vector
FROM decision JOIN face_vector USING (face_id) JOIN person ON person.person_id = decision.person_id
WHERE face_vector.collection_id = :collection_id AND face_vector.model_id = :model_id
ORDER BY md5(face_id::text) LIMIT :most
""").columns(column("person_id", Uuid), column("vector", HALFVEC))


class Measuring:
    """A step of the maintenance: of each collection once an hour."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._measured: dict[int, float] = {}

    async def step(self) -> bool:
        """Measure the bands of one collection whose turn it is; return whether there may be another."""
        found = select(collection.c.collection_id, collection.c.name).join(used_model)
        async with self._changes.database.begin() as connection:
            rows = (await connection.execute(found)).all()
        now = time.monotonic()
        due = (row for row in rows if now - self._measured.get(row.collection_id, -_SECONDS) >= _SECONDS)
        row = next(due, None)
        if row is None:
            return False
        self._measured[row.collection_id] = now
        await self._measure(row.name, row.collection_id)
        return True

    async def _measure(self, name: str, collection_id: int) -> None:
        async with self._changes.database.begin() as connection:
            space = await bands.space_of(connection, collection_id)
            if space is None or space.source == "default":
                return
            values = {"collection_id": collection_id, "model_id": space.model_id, "most": _MOST_FACES}
            rows = (await connection.execute(_DECIDED, values)).all()
        if not rows:
            return
        people = np.array([row.person_id.int % (1 << 62) for row in rows])
        found = await asyncio.to_thread(of_faces, people, np.array([row.vector for row in rows], np.float32))
        if found is not None and _differs(space.bands, found):
            await self._write(name, space, found)

    async def _write(self, name: str, space: Space, found: Bands) -> None:
        async with self._changes.begin(name) as change:
            await actions.hold(change.connection, change.collection_id)
            columns = used_model.c
            its = columns.collection_id == change.collection_id, columns.model_id == space.model_id
            values = {"assign_distance": space.own(found.assign), "suggest_distance": space.own(found.suggest)}
            await change.connection.execute(update(used_model).where(*its).values(values))
            if space.bands is None:
                await restart(change.connection, change.collection_id)


def of_faces(people: npt.NDArray[np.int64], vectors: npt.NDArray[np.float32]) -> Bands | None:
    """Return the bands that follow from whom faces show."""
    squares = np.sum(vectors**2, axis=1)
    products = vectors @ vectors.T
    one, other = np.triu_indices(len(people), 1)
    different = people[one] != people[other]
    distances = squares[one] + squares[other] - 2 * products[one, other]
    return bands.measured(np.sqrt(np.maximum(distances[different], 0)), len(np.unique(people)))


def _differs(before: Bands | None, after: Bands) -> bool:
    return before is None or abs(after.assign - before.assign) > _CHANGE * before.assign
