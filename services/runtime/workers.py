"""Blocking work, off the event loop and bounded."""

import asyncio
import contextvars
import functools
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from services.runtime.errors import Overloaded

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """A fixed number of threads and a bounded queue before them.

    A job that is cancelled while it waits never starts. One that runs already runs to its end and
    keeps its place until then, so the bound holds even when callers go away.
    """

    def __init__(self, threads: int, queue: int) -> None:
        self.threads = threads
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="worker")
        self._free = threads + queue
        self._places = self._free

    async def run(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, float]:
        """Runs the job in a thread; returns its result and the seconds it waited. Raises Overloaded."""
        if self._free == 0:
            raise Overloaded(f"The server has {self._places} pictures in work or waiting. Try again later.")
        self._free -= 1
        queued = time.perf_counter()
        context = contextvars.copy_context()
        call = functools.partial(context.run, _timed, functools.partial(job, *args, **kwargs))
        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[T, float]] = loop.create_future()
        future = self._executor.submit(call)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._leave, future, done))
        done.add_done_callback(lambda _: future.cancel())
        result, started = await done
        return result, started - queued

    def _leave(self, future: "Future[tuple[T, float]]", done: "asyncio.Future[tuple[T, float]]") -> None:
        self._free += 1
        if done.done():
            return
        if future.cancelled():
            done.cancel()
        elif error := future.exception():
            done.set_exception(error)
        else:
            done.set_result(future.result())

    def close(self) -> None:
        """Lets running jobs end and starts no further one."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _timed(job: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    return job(), started
