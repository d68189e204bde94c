"""Deletion and erasure beside workers, and at the same time as additions."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import grpc
import pytest
from structlog.testing import capture_logs

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from services.library.pictures.intake import Intake, Taken
from services.library.work.queue import Claim
from tests.support import library
from tests.support.library import added
from tests.support.processes import PATIENCE
from tests.support.servers import LEFT, Scripted, face, gateway, leaf, nobody, picture, result, until

Held: TypeAlias = tuple[LibraryServiceStub, Scripted, asyncio.Event]


@asynccontextmanager
async def held(
    url: str, store: Path, **settings: object
) -> AsyncIterator[tuple[LibraryServiceStub, Scripted, asyncio.Event]]:
    """Yield a library whose recognizer answers once the event is set."""
    go = asyncio.Event()
    recognizer = Scripted("svm", result=result("svm", face(LEFT, "Ada")), until=go.is_set)
    async with (
        leaf(recognizer) as target,
        gateway({"svm": target}) as address,
        library.library(url, store, address, **settings) as client,
    ):
        try:
            yield client, recognizer, go
        finally:
            go.set()


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*")]


async def shows(database: asyncpg.Connection, condition: str) -> None:
    """Wait until the database says so."""
    async with asyncio.timeout(PATIENCE):
        while not await database.fetchval(f"SELECT {condition}"):  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.02)


async def test_a_picture_that_is_deleted_while_it_is_recognized_stays_deleted(
    database_url: str, database: asyncpg.Connection, tmp_path: Path
) -> None:
    """The answer that comes is kept, and the picture stays in the trash, whence it comes with its faces."""
    async with held(database_url, tmp_path) as (client, recognizer, go):
        key = {"picture_id": (await added(client)).picture_id}
        await until(lambda: recognizer.calls)
        deleted = (await client.DeletePicture(pb.DeletePictureRequest(**key))).picture
        go.set()
        await shows(database, "count(*) = 0 FROM job WHERE state IN (1, 2)")
        shown = (await client.GetPicture(pb.GetPictureRequest(**key))).picture
        assert shown.delete_time == deleted.delete_time
        shown = (await client.UndeletePicture(pb.UndeletePictureRequest(**key))).picture
        assert [one.verdict.display_name for one in shown.faces] == ["Ada"]


async def test_a_picture_that_is_erased_before_it_is_recognized_is_no_fault(
    database_url: str, database: asyncpg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker that has it lets it go: its log has no failure, as nothing has failed."""
    take, clients = Intake.take, list[LibraryServiceStub]()

    async def erased(self: Intake, claim: Claim, *picture: Any) -> Taken:
        taken = await take(self, claim, *picture)
        await clients[0].ErasePicture(pb.ErasePictureRequest(picture_id=str(taken.picture_id)))
        return taken

    monkeypatch.setattr(Intake, "take", erased)
    with capture_logs() as logs:
        async with held(database_url, tmp_path) as (client, recognizer, _):
            clients.append(client)
            await added(client)
            await shows(database, "count(*) = 0 FROM picture")
            await until(lambda: any(one["event"] in {"job lost", "attempt failed"} for one in logs))
    assert [one for one in logs if one["log_level"] == "error"] == []
    assert not recognizer.calls


async def test_a_picture_that_is_erased_while_it_is_recognized_does_not_come_back(
    database_url: str, database: asyncpg.Connection, tmp_path: Path
) -> None:
    """The worker's answer is thrown away; a thumbnail that it still writes goes once it has surely ended."""
    async with held(database_url, tmp_path, library_lease_seconds=1) as (client, recognizer, go):
        shown = await added(client)
        await until(lambda: recognizer.calls)
        receipt = (await client.ErasePicture(pb.ErasePictureRequest(picture_id=shown.picture_id))).receipt
        assert receipt.erased["lease"] == 1
        assert [one for one in receipt.beyond_reach if one.startswith("A call that was under way")]
        go.set()
        other = await added(client, picture((9, 9)), wait=True)  # after whose recognition the first one's has ended
        await database.execute("UPDATE receipt SET create_time = now() - interval '1 hour'")
        async with library.library(database_url, tmp_path, nobody(), library_workers=0):
            await shows(database, "bool_and(complete) FROM receipt")
    assert [row["picture_id"] for row in await database.fetch("SELECT picture_id FROM picture")] == [
        uuid.UUID(other.picture_id)
    ]
    assert await database.fetchval("SELECT count(*) FROM face") == 1
    assert shown.sha256 not in "".join(names(tmp_path))


async def test_an_expired_lease_of_a_deleted_picture_is_nobodys(
    client: LibraryServiceStub, database: asyncpg.Connection, database_url: str, tmp_path: Path
) -> None:
    """The work of a replica that died is not taken up for a picture in the trash; undeleted, it is queued anew."""
    key = {"picture_id": (await added(client)).picture_id}
    await client.DeletePicture(pb.DeletePictureRequest(**key))
    await database.execute(
        "UPDATE job SET state = 2, lease_token = gen_random_uuid(), lease_time = now() - interval '1 s', "
        "next_attempt_time = NULL, calling = true"
    )
    async with held(database_url, tmp_path / "store") as (_, recognizer, _go):
        await shows(database, "count(*) = 0 FROM job WHERE state IN (1, 2)")
        assert not recognizer.calls
        shown = (await client.UndeletePicture(pb.UndeletePictureRequest(**key))).picture
        assert shown.job.state in (pb.JOB_STATE_QUEUED, pb.JOB_STATE_RUNNING)
        await until(lambda: recognizer.calls)


async def test_a_picture_that_is_added_while_it_is_erased_is_there_or_not(
    client: LibraryServiceStub, database: asyncpg.Connection
) -> None:
    """However additions and an erasure meet, the picture is gone in the end, with all of its places."""
    picture_id = (await added(client)).picture_id
    calls = [asyncio.ensure_future(added(client, path=f"{number}.jpg")) for number in range(6)]
    erasing = asyncio.ensure_future(client.ErasePicture(pb.ErasePictureRequest(picture_id=picture_id)))
    results = await asyncio.gather(*calls, return_exceptions=True)
    await erasing
    for one in results:
        if isinstance(one, grpc.aio.AioRpcError):
            assert one.code() == grpc.StatusCode.FAILED_PRECONDITION
        else:
            assert not isinstance(one, BaseException)
            assert one.picture_id == picture_id
    await shows(
        database, "(SELECT count(*) FROM picture) + (SELECT count(*) FROM place) + (SELECT count(*) FROM job) = 0"
    )


async def test_whoever_erases_at_the_same_time_gets_the_receipt(
    client: LibraryServiceStub, database: asyncpg.Connection
) -> None:
    """Of two that erase a picture one waits for the other, and learns what was erased."""
    request = pb.ErasePictureRequest(picture_id=(await added(client)).picture_id)
    async with database.transaction():
        await database.execute("SELECT FROM picture FOR UPDATE")
        calls = [asyncio.ensure_future(client.ErasePicture(request)) for _ in range(2)]
        waiting = "datname = current_database() AND wait_event_type = 'Lock'"
        await shows(database, f"count(*) = 2 FROM pg_stat_activity WHERE {waiting}")
    receipts = [one.receipt for one in await asyncio.gather(*calls)]
    assert len({one.receipt_id for one in receipts}) == 1
    assert all(one.objects for one in receipts)


async def test_keys_of_tombstones_are_rotated(database_url: str, tmp_path: Path) -> None:
    """What was erased under an old key, or the database's own, is refused as long as the file has the key."""
    file, store = tmp_path / "keys", tmp_path / "store"
    sizes = iter(range(9, 99))

    async def erased(**settings: object) -> bytes:
        content = picture((next(sizes), 9))
        async with library.library(database_url, store, nobody(), library_workers=0, **settings) as client:
            shown = await added(client, content)
            await client.ErasePicture(pb.ErasePictureRequest(picture_id=shown.picture_id))
        return content

    async def known(content: bytes, **settings: object) -> bool:
        async with library.library(database_url, store, nobody(), library_workers=0, **settings) as client:
            with suppress(grpc.aio.AioRpcError):
                return not (await added(client, content)).picture_id
        return True

    own = await erased()
    file.write_text("a" * 32)
    first = await erased(library_tombstone_key_file=file)
    file.write_text(f"{'b' * 32}\n{'a' * 32}\n")
    second = await erased(library_tombstone_key_file=file)
    assert [await known(one, library_tombstone_key_file=file) for one in (own, first, second)] == [True] * 3
    file.write_text("b" * 32)
    assert [await known(one, library_tombstone_key_file=file) for one in (own, first, second)] == [True, False, True]
