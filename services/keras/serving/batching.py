"""Pictures that wait at the same time, asked about in one Predict."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import structlog

from services.runtime.errors import DependencyTimeout, Misconfigured

Inputs = npt.NDArray[Any]
Scores = npt.NDArray[np.float32]
Ask = Callable[[Inputs, float], Awaitable[Scores]]
logger = structlog.get_logger()


@dataclass(eq=False)
class _Waiting:
    input: Inputs
    deadline: float
    scores: "asyncio.Future[Scores]"


class Batcher:
    """Asks with one picture while the server is free, and with all that wait while it is busy.

    `ask` takes inputs [N, …] and seconds, and gives scores [N, classes]; at most `at_once` of them run, each with
    at most `most` pictures. Nobody is kept waiting for others to come, nor past their own deadline. A server that
    refuses several pictures at once is asked with single ones from then on. Use it in one event loop.
    """

    def __init__(self, ask: Ask, most: int, at_once: int) -> None:
        self._ask = ask
        self._most = most
        self._free = at_once
        self._queue: deque[_Waiting] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def predict(self, inputs: Inputs, seconds: float) -> Scores:
        """Scores [N, classes] for N pictures, N > 0. Raises DependencyTimeout once time is out, and what `ask` does."""
        if seconds <= 0:
            raise DependencyTimeout("No time is left to ask the model's server.")
        if self._free and not self._queue and len(inputs) == 1:
            return await self._alone(inputs, seconds)
        return await self._queued(inputs, seconds)

    async def _alone(self, inputs: Inputs, seconds: float) -> Scores:
        """The short way of a picture that meets nobody: without a task of its own."""
        self._free -= 1
        try:
            return await self._ask(inputs, seconds)
        finally:
            self._free += 1
            self._start()

    async def _queued(self, inputs: Inputs, seconds: float) -> Scores:
        loop = asyncio.get_running_loop()
        waiting = [_Waiting(one, loop.time() + seconds, loop.create_future()) for one in inputs]
        self._queue.extend(waiting)
        self._start()
        try:
            async with asyncio.timeout(seconds):
                return np.stack(await asyncio.gather(*(one.scores for one in waiting)))
        except TimeoutError:
            raise DependencyTimeout("The model's server did not answer in time.") from None

    def _start(self) -> None:
        while self._free and (batch := self._take()):
            self._free -= 1
            task = asyncio.create_task(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            for one in batch:
                one.scores.add_done_callback(partial(_cancel_if_nobody_waits, task, batch))

    def _take(self) -> list[_Waiting]:
        """The next batch, without those whose callers have gone."""
        batch: list[_Waiting] = []
        while self._queue and len(batch) < self._most:
            one = self._queue.popleft()
            if not one.scores.done():
                batch.append(one)
        return batch

    async def _run(self, batch: list[_Waiting]) -> None:
        try:
            await self._answer(batch)
        except Exception as exc:  # noqa: BLE001 - it belongs to those who wait
            for one in batch:
                if not one.scores.done():
                    one.scores.set_exception(exc)
        finally:
            self._free += 1
            self._start()

    async def _answer(self, batch: list[_Waiting]) -> None:
        latest = max(one.deadline for one in batch) - asyncio.get_running_loop().time()
        try:
            scores = await self._ask(np.stack([one.input for one in batch]), latest)
        except Misconfigured as exc:
            if len(batch) == 1:
                raise
            logger.warning("asking with single pictures from now on", pictures=len(batch), error=exc.message)
            self._most = 1
            self._queue.extendleft(reversed(batch))
            return
        for one, own in zip(batch, scores, strict=True):
            if not one.scores.done():
                one.scores.set_result(own)


def _cancel_if_nobody_waits(task: "asyncio.Task[None]", batch: list[_Waiting], _: "asyncio.Future[Scores]") -> None:
    if all(one.scores.cancelled() for one in batch):
        task.cancel()
