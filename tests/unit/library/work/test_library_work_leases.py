"""Several replicas, of which some die or are held up: every picture is recognized, and nothing is written twice."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from marquee.library.v1 import library_pb2 as lib
from marquee.v1 import recognizer_pb2 as pb
from services.library.work import worker
from tests.support.library import added, ended, get, library, rows
from tests.support.processes import PATIENCE, metric
from tests.support.servers import LEFT, LeafProcess, Scripted, face, gateway, leaf, picture, result, until

WRITTEN = "SELECT (SELECT count(*) FROM answer), (SELECT count(*) FROM face), (SELECT count(*) FROM picture)"


@contextmanager
def replica(folder: Path, url: str, gateway: str) -> Iterator[LeafProcess]:
    """Run a replica as a process, with leases of a second."""
    folder.mkdir()
    own = {
        "MARQUEE_LIBRARY_DATABASE_URL": url,
        "MARQUEE_LIBRARY_STORE": (folder.parent / "store").as_uri(),
        "MARQUEE_LIBRARY_GATEWAY": gateway,
        "MARQUEE_LIBRARY_LEASE_SECONDS": "1",
        "MARQUEE_LIBRARY_DATABASE_CONNECTIONS": "4",
    }
    process = LeafProcess(folder, module="services.library", **own)
    try:
        yield process
    finally:
        process.close()


@pytest.mark.slow
async def test_a_picture_outlives_its_workers(database_url: str, tmp_path: Path) -> None:
    """Workers killed during a call are followed by others: the rows are there once, and the calls are counted."""
    may_answer: list[bool] = []
    recognizer = Scripted("svm", result=result("svm", face(LEFT, "Anna")), until=lambda: may_answer)
    async with (
        leaf(recognizer) as target,
        gateway({"svm": target}) as address,
        library(database_url, tmp_path / "store", address, library_workers=0) as client,
    ):
        picture_id = (await added(client)).picture_id
        for number in (1, 2):
            with replica(tmp_path / str(number), database_url, address) as process:
                await until(lambda: len(recognizer.calls) == number)  # noqa: B023 - waited for here
                process.process.kill()
        may_answer.append(True)
        async with library(database_url, tmp_path / "store", address):
            shown = await ended(client, picture_id)
    assert shown.state == lib.PICTURE_STATE_RECOGNIZED
    assert (shown.job.attempts, shown.job.repeated_calls, len(recognizer.calls)) == (3, 2, 3)
    assert await rows(database_url, WRITTEN) == [(1, 1, 1)]


@pytest.mark.slow
async def test_a_late_worker_writes_nothing(database_url: str, tmp_path: Path) -> None:
    """A worker that is held up past its lease, and then goes on, loses the job to the one that has it by now."""
    may_answer: list[bool] = []
    recognizer = Scripted("svm", result=result("svm", face(LEFT, "Anna")), until=lambda: may_answer)
    async with (
        leaf(recognizer) as target,
        gateway({"svm": target}) as address,
        library(database_url, tmp_path / "store", address, library_workers=0) as client,
    ):
        picture_id = (await added(client)).picture_id
        with replica(tmp_path / "late", database_url, address) as late:
            await until(lambda: recognizer.calls)
            os.kill(late.process.pid, signal.SIGSTOP)
            async with library(database_url, tmp_path / "store", address):
                await until(lambda: len(recognizer.calls) == 2)
                may_answer.append(True)
                before = await ended(client, picture_id)
            os.kill(late.process.pid, signal.SIGCONT)
            await until(lambda: late.events("job lost") or late.process.poll() is not None)
            assert late.events("job attempted")[-1]["outcome"] == "lost"
            assert metric(late.metrics_url, "marquee_library_attempts_total", 'outcome="lost"') == 1
            assert metric(late.metrics_url, "marquee_library_attempts_total", 'outcome="recognized"') == 0
        assert await get(client, picture_id) == before
    assert before.job.repeated_calls == 1
    assert await rows(database_url, WRITTEN) == [(1, 1, 1)]


async def test_replicas_share_the_work(database_url: str, tmp_path: Path) -> None:
    """Of several replicas one works on each picture."""
    recognizer = Scripted("svm")
    async with (
        leaf(recognizer) as target,
        gateway({"svm": target}) as address,
        library(database_url, tmp_path, address) as client,
        library(database_url, tmp_path, address) as other,
    ):
        pictures = [await added((client, other)[number % 2], picture((8 + number, 8))) for number in range(12)]
        for one in pictures:
            assert (await ended(client, one.picture_id)).job.attempts == 1
    assert len(recognizer.calls) == 12


async def test_a_call_waits_for_what_another_replica_does(database_url: str, tmp_path: Path) -> None:
    """AddImage with `wait` responds once any replica has recognized the picture; near its deadline with PENDING."""
    may_answer: list[bool] = []
    async with (
        leaf(Scripted("svm", until=lambda: may_answer)) as target,
        gateway({"svm": target}) as address,
        library(database_url, tmp_path, address, library_workers=0) as client,
        library(database_url, tmp_path, address),
    ):
        request = lib.AddImageRequest(image=pb.Image(content=picture()), wait=True)
        assert (await client.AddImage(request, timeout=2)).picture.state == lib.PICTURE_STATE_PENDING
        may_answer.append(True)
        response = await client.AddImage(request, timeout=PATIENCE)
        assert response.picture.state == lib.PICTURE_STATE_RECOGNIZED


async def test_what_is_not_finished_is_handed_back(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that stops hands back what it cannot finish: others have it at once, however long its lease was."""
    monkeypatch.setattr(worker, "_FINISH_SECONDS", 0.1)
    may_answer: list[bool] = []
    recognizer = Scripted("svm", until=lambda: may_answer)
    async with (
        leaf(recognizer) as target,
        gateway({"svm": target}) as address,
        library(database_url, tmp_path, address, library_workers=0) as client,
    ):
        async with library(database_url, tmp_path, address, library_lease_seconds=3600):
            picture_id = (await added(client)).picture_id
            await until(lambda: recognizer.calls)
        may_answer.append(True)
        async with library(database_url, tmp_path, address):
            shown = await ended(client, picture_id)
    assert (shown.state, shown.job.repeated_calls) == (lib.PICTURE_STATE_RECOGNIZED, 1)


async def test_a_loop_ends_though_its_cleanup_fails() -> None:
    """A loop that took its end for the database's absence is ended again."""
    ends = 0

    async def loop() -> None:
        nonlocal ends
        while ends < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ends += 1

    task = asyncio.create_task(loop())
    await asyncio.sleep(0)
    await worker.end([task])
    assert (task.done(), ends) == (True, 2)
