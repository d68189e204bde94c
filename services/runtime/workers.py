"""Threads for blocking work, with a bounded queue."""

import asyncio
import contextvars
import functools
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from services.runtime.errors import Overloaded

P = ParamSpec("P")
T = TypeVar("T")
U = TypeVar("U")


class Workers:
    """A fixed number of threads with a bounded queue.

    A job that is cancelled while queued never starts. A running job runs to its end and counts until then, so
    the bound holds even when callers go away.
    """

    def __init__(self, threads: int, queue: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="worker")
        self._count = threads + queue
        self._places = asyncio.Semaphore(self._count)
        self._mapping = asyncio.Semaphore(threads)

    async def run(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, float]:
        """Run the job in a thread; return its result and the seconds it was queued. Raises Overloaded."""
        if self._places.locked():
            raise Overloaded(f"Pictures running or queued: {self._count}, the server's limit. Try again later.")
        await self._places.acquire()
        return await self._submit(functools.partial(job, *args, **kwargs))

    async def map(self, job: Callable[[U], T], items: Iterable[U]) -> list[T]:
        """Run the job on every item of one call; wait for places instead of raising Overloaded.

        The queue is for other calls: all maps together have as many places as there are threads. If a job raises,
        the others are cancelled, and then its exception is raised.
        """
        failed = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._run_in_turn(job, item, failed)) for item in items]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _run_in_turn(self, job: Callable[[U], T], item: U, failed: asyncio.Event) -> T:
        async with self._mapping:
            if failed.is_set():  # the group has not cancelled this task yet
                raise asyncio.CancelledError
            await self._places.acquire()
            try:
                result, _ = await self._submit(functools.partial(job, item))
            except Exception:
                failed.set()
                raise
        return result

    async def _submit(self, job: Callable[[], T]) -> tuple[T, float]:
        """Run the job, which has a place, and give the place back."""
        queued = time.perf_counter()
        context = contextvars.copy_context()
        call = functools.partial(context.run, _timed, job)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[T, float]] = loop.create_future()
        future = self._executor.submit(call)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._leave, future, done))
        done.add_done_callback(lambda _: future.cancel())
        result, started = await done
        return result, started - queued

    def _leave(self, future: "Future[tuple[T, float]]", done: "asyncio.Future[tuple[T, float]]") -> None:
        self._places.release()
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
