"""Threads for blocking work, with a bounded queue."""

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
    """A fixed number of threads with a bounded queue.

    A job that is cancelled while queued never starts. A running job runs to its end and counts until then, so
    the bound holds even when callers go away.
    """

    def __init__(self, threads: int, queue: int) -> None:
        self.threads = threads
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="worker")
        self._free = threads + queue
        self._places = self._free

    async def run(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, float]:
        """Run the job in a thread; return its result and the seconds it was queued. Raises Overloaded."""
        if self._free == 0:
            raise Overloaded(f"The server has {self._places} pictures running or queued. Try again later.")
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
        """Let running jobs finish and start no more."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _timed(job: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    return job(), started
