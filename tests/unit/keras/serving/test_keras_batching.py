"""Tests of pictures that share a Predict call."""

import asyncio
from typing import Any

import numpy as np
import pytest

from services.keras.serving.batching import Batcher, Inputs, Scores
from services.runtime.errors import DependencyTimeout, Misconfigured


class Server:
    """A server that scores each input with itself, records batch sizes, and waits while `go` is not set."""

    def __init__(self, most: int = 100) -> None:
        self.sizes: list[int] = []
        self.seconds: list[float] = []
        self.most = most
        self.cancelled = 0
        self.go = asyncio.Event()
        self.go.set()

    async def ask(self, inputs: Inputs, seconds: float) -> Scores:
        self.sizes.append(len(inputs))
        self.seconds.append(seconds)
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if len(inputs) > self.most:
            raise Misconfigured(f"Task size {len(inputs)} is larger than maximum input batch size {self.most}")
        return inputs.astype(np.float32)


def _inputs(*values: int) -> Inputs:
    return np.array([[value] for value in values], np.uint8)


async def _scores(batcher: Batcher, *values: int, seconds: float = 60) -> list[float]:
    return (await batcher.predict(_inputs(*values), seconds)).ravel().tolist()


async def _rounds() -> None:
    """Let the event loop run everything that is ready."""
    for _ in range(20):
        await asyncio.sleep(0)


async def _busy(server: Server, batcher: Batcher) -> "asyncio.Task[list[float]]":
    """Start a call that keeps the server busy until `go` is set."""
    server.go.clear()
    first = asyncio.create_task(_scores(batcher, 0))
    while not server.sizes:  # noqa: ASYNC110 - set within a few rounds of the loop
        await asyncio.sleep(0)
    return first


async def test_single_picture_does_not_wait() -> None:
    """A picture is sent immediately while the server is free."""
    server = Server()
    batcher = Batcher(server.ask, max_batch=8, max_calls=2)
    call = asyncio.create_task(_scores(batcher, 7))
    await _rounds()
    assert server.sizes == [1]
    assert await call == [7]


async def test_waiting_pictures_share_the_next_call() -> None:
    """Pictures gather while all calls are running, and each caller gets its own pictures' scores."""
    server = Server()
    batcher = Batcher(server.ask, max_batch=8, max_calls=1)
    first = await _busy(server, batcher)
    rest = [asyncio.create_task(_scores(batcher, value)) for value in range(1, 6)]
    await asyncio.sleep(0)
    server.go.set()
    assert await asyncio.gather(first, *rest) == [[0], [1], [2], [3], [4], [5]]
    assert server.sizes == [1, 5]


async def test_maximum_pictures_per_call() -> None:
    """A call has at most `max_batch` pictures, even if one caller has more."""
    server = Server()
    batcher = Batcher(server.ask, max_batch=3, max_calls=1)
    assert await _scores(batcher, *range(7)) == list(range(7))
    assert server.sizes == [3, 3, 1]


async def test_maximum_calls_at_once() -> None:
    """At most `max_calls` calls run at once."""
    server = Server()
    batcher = Batcher(server.ask, max_batch=1, max_calls=2)
    first = await _busy(server, batcher)
    rest = [asyncio.create_task(_scores(batcher, value)) for value in (1, 2)]
    await _rounds()
    assert server.sizes == [1, 1]
    server.go.set()
    assert await asyncio.gather(first, *rest) == [[0], [1], [2]]


async def test_each_caller_has_its_deadline() -> None:
    """No caller waits past its deadline, either in the queue or for others in the same call."""
    server = Server()
    batcher = Batcher(server.ask, max_batch=8, max_calls=1)
    first = await _busy(server, batcher)
    short = asyncio.create_task(_scores(batcher, 1, seconds=0.05))
    long = asyncio.create_task(_scores(batcher, 2, seconds=500))
    with pytest.raises(DependencyTimeout):
        await short
    server.go.set()
    assert await asyncio.gather(first, long) == [[0], [2]]
    assert server.sizes == [1, 1]
    assert 300 < server.seconds[1] < 500


async def test_no_time_left() -> None:
    """A caller with no time left makes no call."""
    server = Server()
    with pytest.raises(DependencyTimeout):
        await _scores(Batcher(server.ask, max_batch=8, max_calls=1), 1, seconds=0)
    assert server.sizes == []


async def test_call_ends_with_its_last_caller() -> None:
    """A call is cancelled when no caller waits for it anymore, which makes room for the next."""
    server = Server()
    batcher = Batcher(server.ask, max_batch=8, max_calls=1)
    server.go.clear()
    both = [asyncio.create_task(_scores(batcher, 1)), asyncio.create_task(_scores(batcher, 2, 3))]
    await _rounds()
    both[0].cancel()
    await _rounds()
    assert server.cancelled == 1
    both[1].cancel()
    await _rounds()
    assert server.cancelled == 2
    server.go.set()
    assert await _scores(batcher, 4) == [4]


async def test_server_that_refuses_batches() -> None:
    """If the server refuses a call as too large, its pictures and all later ones are sent one by one."""
    server = Server(most=1)
    batcher = Batcher(server.ask, max_batch=8, max_calls=1)
    assert await _scores(batcher, 1, 2, 3) == [1, 2, 3]
    assert await _scores(batcher, 4, 5) == [4, 5]
    assert server.sizes == [3, 1, 1, 1, 1, 1]


async def test_failure_reaches_all() -> None:
    """The server's error reaches every caller that shared the call, and the next call is still made."""
    server = Server(most=0)
    batcher = Batcher(server.ask, max_batch=8, max_calls=1)
    outcomes: list[Any] = await asyncio.gather(*(_scores(batcher, value) for value in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Misconfigured] * 3
    server.most = 1
    assert await _scores(batcher, 9) == [9]
