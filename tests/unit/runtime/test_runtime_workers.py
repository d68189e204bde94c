"""Blocking work in a bounded number of threads."""

import asyncio
import threading
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from services.runtime.errors import Overloaded
from services.runtime.workers import Workers
from tests.support.processes import PATIENCE

WORD: ContextVar[str] = ContextVar("WORD")


class Gate:
    """A job that runs until the gate is opened."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self._open = threading.Event()

    def __call__(self) -> str:
        self.started.set()
        assert self._open.wait(PATIENCE)
        return "done"

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    one = Gate()
    yield one
    one.open()


async def start(workers: Workers, gate: Gate) -> "asyncio.Task[tuple[str, float]]":
    """Return a task whose job has started."""
    task = asyncio.create_task(workers.run(gate))
    await asyncio.to_thread(gate.started.wait, PATIENCE)
    return task


async def test_gives_the_result() -> None:
    """A job's result comes back with the time that the job waited."""
    result, waited = await Workers(1, 0).run(divmod, 7, 2)
    assert result == (3, 1)
    assert 0 <= waited < PATIENCE


async def test_gives_the_exception() -> None:
    """The caller gets the exception that the job raises."""
    with pytest.raises(ZeroDivisionError):
        await Workers(1, 0).run(divmod, 1, 0)


async def test_works_off_the_event_loop() -> None:
    """A job runs in a thread of the workers' pool, not on the event loop."""
    name, _ = await Workers(1, 0).run(lambda: threading.current_thread().name)
    assert name.startswith("worker")


async def test_a_job_sees_the_calls_context() -> None:
    """A job runs in the call's context, so its log lines have the call's request_id."""
    WORD.set("here")
    assert (await Workers(1, 0).run(WORD.get))[0] == "here"


async def test_refuses_when_all_places_are_taken(gate: Gate) -> None:
    """Once all threads are busy and the queue is full, a job is refused at once."""
    workers = Workers(1, 1)
    first = await start(workers, gate)
    second = asyncio.create_task(workers.run(str))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="queued: 2,"):
        await workers.run(str)
    gate.open()
    await asyncio.gather(first, second)


async def test_returns_how_long_a_job_waited(gate: Gate) -> None:
    """A job's time in the queue is returned separately from its work."""
    workers = Workers(1, 1)
    first = await start(workers, gate)
    second = asyncio.create_task(workers.run(str))
    await asyncio.sleep(0)
    await asyncio.sleep(0.1)
    gate.open()
    await first
    assert (await second)[1] >= 0.09


async def test_a_place_is_free_again_after_a_job(gate: Gate) -> None:
    """A job that has ended makes room for the next."""
    workers = Workers(1, 0)
    first = await start(workers, gate)
    gate.open()
    await first
    assert (await workers.run(str))[0] == ""


async def test_a_place_is_free_again_after_a_failed_job() -> None:
    """A job that fails also makes room for the next."""
    workers = Workers(1, 0)
    for _ in range(3):
        with pytest.raises(ValueError, match="invalid literal"):
            await workers.run(int, "x")


async def test_a_cancelled_waiting_job_never_starts(gate: Gate) -> None:
    """The job of a call that is cancelled while it waits never runs."""
    workers = Workers(1, 2)
    first = await start(workers, gate)
    started = threading.Event()
    waiting = asyncio.create_task(workers.run(started.set))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    gate.open()
    await first
    await workers.run(str)
    assert not started.is_set()


async def test_a_cancelled_waiting_job_gives_up_its_place(gate: Gate) -> None:
    """The place of a call that is cancelled while it waits is free for another."""
    workers = Workers(1, 1)
    first = await start(workers, gate)
    waiting = asyncio.create_task(workers.run(str))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0.01)
    second = asyncio.create_task(workers.run(str))
    await asyncio.sleep(0)
    gate.open()
    await asyncio.gather(first, second)


async def test_a_running_job_keeps_its_place_when_cancelled(gate: Gate) -> None:
    """A cancelled job that is running keeps its place until it ends, as a thread cannot be stopped."""
    workers = Workers(1, 0)
    first = await start(workers, gate)
    first.cancel()
    await asyncio.sleep(0.01)
    with pytest.raises(Overloaded):
        await workers.run(str)


async def test_close_starts_no_further_job(gate: Gate) -> None:
    """After close(), waiting jobs are cancelled and the running one finishes."""
    workers = Workers(1, 1)
    first = await start(workers, gate)
    waiting = asyncio.create_task(workers.run(str))
    await asyncio.sleep(0)
    workers.close()
    gate.open()
    assert (await first)[0] == "done"
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_map_waits_for_places(gate: Gate) -> None:
    """With more items than places, and every place taken, a map waits and returns the results in order."""
    workers = Workers(1, 1)
    first = await start(workers, gate)
    queued = asyncio.create_task(workers.run(str))
    mapping = asyncio.create_task(workers.map(abs, range(-5, 0)))
    await asyncio.sleep(0.01)
    assert not mapping.done()
    gate.open()
    await asyncio.gather(first, queued)
    assert await mapping == [5, 4, 3, 2, 1]


async def test_a_map_leaves_the_queue_to_others(gate: Gate) -> None:
    """While many items wait for a thread, another call still finds a place in the queue."""
    workers = Workers(1, 1)
    mapping = asyncio.create_task(workers.map(lambda _: gate(), range(4)))
    await asyncio.to_thread(gate.started.wait, PATIENCE)
    other = asyncio.create_task(workers.run(str))
    await asyncio.sleep(0.01)
    gate.open()
    assert (await other)[0] == ""
    assert await mapping == ["done"] * 4


async def test_a_failed_map_starts_nothing_more() -> None:
    """The job's exception is raised as it is, and items that have not started never do."""
    workers, started = Workers(1, 0), []

    def job(number: int) -> None:
        started.append(number)
        raise ValueError(number)

    with pytest.raises(ValueError, match="0"):
        await workers.map(job, range(5))
    await workers.run(str)
    assert started == [0]


async def test_a_cancelled_map_gives_up_its_places(gate: Gate) -> None:
    """When the caller of a map goes away, its waiting items never run and all places are free again."""
    workers = Workers(1, 0)
    first = await start(workers, gate)
    started = threading.Event()
    mapping = asyncio.create_task(workers.map(lambda _: started.set(), range(3)))
    await asyncio.sleep(0.01)
    mapping.cancel()
    await asyncio.wait([mapping])
    gate.open()
    await first
    await workers.run(str)
    assert not started.is_set()
