"""Work that is asked for again: jobs that were given up, and leases to renew."""

import asyncio
from collections.abc import Collection
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from marquee.library.v1 import library_pb2 as lib
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from services.library.database.database import Database
from services.library.work import worker
from services.library.work.queue import Claim, Queue
from services.library.work.signals import Signals
from services.library.work.worker import Worker
from services.runtime.errors import DependencyUnavailable
from tests.support.library import added, blocked, get, library, rows
from tests.support.servers import nobody, until

_GIVE_UP = "UPDATE job SET state = 4, end_time = now()"
_DEAD = """
WITH made AS (
  INSERT INTO picture (picture_id, collection_id, state, taken_time_source)
  SELECT gen_random_uuid(), collection_id, 4, 4 FROM collection, generate_series(1, 33000)
  RETURNING picture_id, collection_id
)
INSERT INTO job (job_id, collection_id, picture_id, state)
SELECT gen_random_uuid(), collection_id, picture_id, 4 FROM made
"""

_QUEUE_ANEW = """
INSERT INTO job (job_id, collection_id, picture_id, state)
SELECT '00000000-0000-7000-8000-000000000000', collection_id, picture_id, 1 FROM picture
"""


async def _retried_while_held(client: LibraryServiceStub, database_url: str, statement: str) -> int:
    """Give the job up, and have it retried while another one holds its picture and runs the statement.

    Return how many jobs were retried.
    """
    await rows(database_url, _GIVE_UP)
    connection = await asyncpg.connect(database_url)
    async with connection.transaction():
        await connection.execute("SELECT FROM picture FOR UPDATE")
        retry = client.RetryJobs(lib.RetryJobsRequest())  # sent at once
        await blocked(database_url)
        await connection.execute(statement)
    await connection.close()
    return (await retry).job_count


async def test_jobs_are_retried_while_their_pictures_are_changed(database_url: str, tmp_path: Path) -> None:
    """RetryJobs waits for who holds a picture, such as to erase it, and holds nothing that the other waits for."""
    async with library(database_url, tmp_path, nobody(), library_workers=0) as client:
        shown = await added(client)
        assert await _retried_while_held(client, database_url, "SELECT FROM job FOR UPDATE NOWAIT") == 1
        assert (await get(client, shown.picture_id)).state == lib.PICTURE_STATE_PENDING


async def test_a_picture_that_is_queued_meanwhile_is_queued_once(database_url: str, tmp_path: Path) -> None:
    """A job that was given up stays so if its picture is queued anew while RetryJobs waits for it."""
    async with library(database_url, tmp_path, nobody(), library_workers=0) as client:
        await added(client)
        assert await _retried_while_held(client, database_url, _QUEUE_ANEW) == 0
    assert await rows(database_url, "SELECT state FROM job ORDER BY state") == [(1,), (4,)]


@pytest.mark.slow
async def test_any_number_of_jobs_is_retried(database_url: str, tmp_path: Path) -> None:
    """RetryJobs queues all jobs that were given up, though they are more than a statement has parameters."""
    async with library(database_url, tmp_path, nobody(), library_workers=0) as client:
        await added(client)
        await rows(database_url, _DEAD)
        assert (await client.RetryJobs(lib.RetryJobsRequest(), timeout=60)).job_count == 33_000
    assert await rows(database_url, "SELECT DISTINCT state FROM picture") == [(lib.PICTURE_STATE_PENDING,)]


async def test_a_lease_that_was_not_renewed_is_renewed_soon(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that could not reach the database renews its leases as soon as it can, not a third of a lease later."""
    monkeypatch.setattr(worker, "_FINISH_SECONDS", 0.1)
    async with library(database_url, tmp_path, nobody(), library_workers=0) as client:
        await added(client)
    database = Database(database_url)
    queue = _Unlucky(database)
    own = Worker(queue, Signals(database), 1, _endless)
    own.start()
    await until(lambda: queue.renewals == 2)
    await own.close()
    await database.close()


class _Unlucky(Queue):
    """A queue whose first renewal fails, after which leases are long."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, 0.1)
        self.renewals = 0

    async def renew(self, claims: Collection[Claim]) -> set[UUID]:
        self.renewals += 1
        if self.renewals == 1:
            self.lease_seconds = 3600
            raise DependencyUnavailable("Not now.", dependency="database")
        return await super().renew(claims)


async def _endless(_: Claim) -> str:
    await asyncio.Event().wait()
    return "recognized"
