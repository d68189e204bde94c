"""Pictures that share a Predict call."""

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
Predict = Callable[[Inputs, float], Awaitable[Scores]]
logger = structlog.get_logger()


@dataclass(eq=False)
class _Picture:
    input: Inputs
    deadline: float
    scores: "asyncio.Future[Scores]"


class Batcher:
    """Queue of pictures: one per call while the server is free; once it was busy, all that wait share a call.

    `predict` takes inputs [N, …] and seconds, and returns scores [N, classes]. At most `max_calls` of its calls
    run at once, with at most `max_batch` pictures each. No picture waits for others to come, nor past its own
    deadline. If the server refuses several pictures at once, calls have one each from then on. Use it in one
    event loop.
    """

    def __init__(self, predict: Predict, max_batch: int, max_calls: int) -> None:
        self._predict = predict
        self._max_batch = max_batch
        self._free_calls = max_calls
        self._queue: deque[_Picture] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def predict(self, inputs: Inputs, seconds: float) -> Scores:
        """Return scores [N, classes] of N > 0 pictures. Raises DependencyTimeout, or what `predict` raises."""
        if seconds <= 0:
            raise DependencyTimeout("No time is left for the model server.")
        if self._free_calls and not self._queue and len(inputs) == 1:
            return await self._call(inputs, seconds)
        return await self._enqueue(inputs, seconds)

    async def _call(self, inputs: Inputs, seconds: float) -> Scores:
        """Make a call at once, which spares a lone picture a task of its own."""
        self._free_calls -= 1
        try:
            return await self._predict(inputs, seconds)
        finally:
            self._free_calls += 1
            self._start_calls()

    async def _enqueue(self, inputs: Inputs, seconds: float) -> Scores:
        loop = asyncio.get_running_loop()
        pictures = [_Picture(picture, loop.time() + seconds, loop.create_future()) for picture in inputs]
        self._queue.extend(pictures)
        self._start_calls()
        try:
            async with asyncio.timeout(seconds):
                return np.stack(await asyncio.gather(*(picture.scores for picture in pictures)))
        except TimeoutError:
            raise DependencyTimeout("The model server did not answer in time.") from None
        finally:
            for picture in pictures:  # if one failed, nobody waits for the others
                picture.scores.cancel()

    def _start_calls(self) -> None:
        while self._free_calls and (batch := self._next_batch()):
            self._free_calls -= 1
            task = asyncio.create_task(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            for picture in batch:
                picture.scores.add_done_callback(partial(_cancel_if_abandoned, task, batch))

    def _next_batch(self) -> list[_Picture]:
        """Take pictures from the queue, skipping those whose callers have gone."""
        batch: list[_Picture] = []
        while self._queue and len(batch) < self._max_batch:
            picture = self._queue.popleft()
            if not picture.scores.done():
                batch.append(picture)
        return batch

    async def _run(self, batch: list[_Picture]) -> None:
        try:
            await self._score(batch)
        except Exception as exc:  # noqa: BLE001 - it is raised to the callers
            for picture in batch:
                if not picture.scores.done():
                    picture.scores.set_exception(exc)
        finally:
            self._free_calls += 1
            self._start_calls()

    async def _score(self, batch: list[_Picture]) -> None:
        seconds = max(picture.deadline for picture in batch) - asyncio.get_running_loop().time()
        try:
            scores = await self._predict(np.stack([picture.input for picture in batch]), seconds)
        except Misconfigured as exc:
            if len(batch) == 1:
                raise
            logger.warning("sending single pictures from now on", pictures=len(batch), error=exc.message)
            self._max_batch = 1
            self._queue.extendleft(reversed(batch))
            return
        for picture, row in zip(batch, scores, strict=True):
            if not picture.scores.done():
                picture.scores.set_result(row)


def _cancel_if_abandoned(task: "asyncio.Task[None]", batch: list[_Picture], _: "asyncio.Future[Scores]") -> None:
    if all(picture.scores.cancelled() for picture in batch):
        task.cancel()
