"""The faces whose vectors are nearest: found exactly among few, by the index among many, as many as are asked for."""

from collections.abc import Sequence
from uuid import UUID

import numpy as np
import pytest

from services.library.database.database import Database
from services.library.faces import models, neighbours
from services.library.faces.neighbours import Neighbour, nearest
from tests.support import library_faces
from tests.support.library import run_sql

RANDOM = np.random.default_rng(1)
MODEL = 1


def vectors(count: int, length: int = 8) -> library_faces.Vectors:
    return RANDOM.normal(size=(count, length)).astype(np.float16).astype(np.float32)


def brute(vector: library_faces.Vectors, others: library_faces.Vectors, metric: str) -> Sequence[float]:
    """Return the distances in rising order."""
    if metric == "l2":
        return sorted(np.linalg.norm(others - vector, axis=1))
    lengths = np.linalg.norm(others, axis=1) * np.linalg.norm(vector)
    return sorted(1 - (others @ vector) / lengths)


async def found(
    url: str, subject: UUID | Sequence[float], limit: int = 20, most: float | None = None
) -> list[Neighbour]:
    database = Database(url, 1)
    try:
        number = await database.collection_id("pictures")
        async with database.begin() as connection:
            return await nearest(connection, subject, MODEL, number, limit, most)
    finally:
        await database.close()


@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("few", [5000, 10], ids=["compared", "indexed"])
async def test_the_nearest_are_found(database_url: str, metric: str, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearest first, with the distances that the model's metric has; the face itself is not its neighbour."""
    monkeypatch.setattr(models, "FEW", few)
    own = vectors(300)
    ids = await library_faces.write(database_url, own, metric=metric)
    await library_faces.write(database_url, own, collection="others", metric=metric)
    await built(database_url, few)
    near = await found(database_url, ids[7])
    assert [one.distance for one in near] == pytest.approx(brute(own[7], own, metric)[1:21], abs=1e-3)
    assert {one.face_id for one in near} <= set(ids) - {ids[7]}
    within = await found(database_url, own[7].tolist(), 300, near[4].distance + 1e-4)
    assert [one.face_id for one in within] == [ids[7], *(one.face_id for one in near[:5])]


async def built(url: str, few: int) -> None:
    """Build the index of what has more vectors than a few."""
    database = Database(url, 1)
    number = await models.Indexes(database, 64, few).build()
    await database.close()
    assert number == (few < 300)


async def test_who_must_not_be_found_is_not(database_url: str) -> None:
    """Faces that are none, were erased or are there no more, and those in the trash, are nobody's neighbours."""
    own = np.ones((6, 8), np.float32)
    ids = await library_faces.write(database_url, own)
    async with library_faces.connected(database_url) as connection:
        await connection.execute("UPDATE face SET state = 4 WHERE face_id = $1", ids[1])
        await connection.execute("UPDATE face SET erased = true WHERE face_id = $1", ids[2])
        await connection.execute("UPDATE face SET current = false WHERE face_id = $1", ids[3])
        await library_faces.delete(connection, ids[4:5])
    assert [one.face_id for one in await found(database_url, ids[0])] == [ids[5]]
    assert [one.face_id for one in await found(database_url, ids[1])] == [ids[0], ids[5]]


async def test_an_index_that_gives_up_is_not_all(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the index ends before enough faces fit, as those nearby lie in the trash, all are compared instead."""
    monkeypatch.setattr(models, "FEW", 10)
    monkeypatch.setitem(neighbours._INDEX, "hnsw.max_scan_tuples", "1")
    own = np.concatenate([np.ones((250, 8), np.float32), vectors(50) + 9]).astype(np.float32)
    ids = await library_faces.write(database_url, own)
    await built(database_url, 10)
    async with library_faces.connected(database_url) as connection:
        await library_faces.delete(connection, ids[:250])
    assert {one.face_id for one in await found(database_url, [1.0] * 8, 50)} == set(ids[250:])


async def test_an_index_that_was_not_finished_is_built_again(database_url: str) -> None:
    """What a killed replica left of an index is replaced; one that is gone is built again."""
    await library_faces.write(database_url, vectors(30))
    database = Database(database_url, 1)
    own = models.Indexes(database, 64, 10)
    assert (await own.build(), await own.build()) == (1, 0)
    await run_sql(
        database_url, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'face_vector_model_1_idx'::regclass"
    )
    assert (await own.build(), await own.build()) == (1, 0)
    await run_sql(database_url, "DROP INDEX face_vector_model_1_idx")
    assert (await own.build(), await own.build()) == (1, 0)
    await database.close()
