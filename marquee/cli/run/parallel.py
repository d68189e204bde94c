"""Pictures sent in parallel, in order, and as long as the server has no place for them."""

import asyncio
import os
import signal
import stat
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, TypeVar

from marquee.cli.inputs import STDIN, load
from marquee.errors import MarqueeError, ResourceExhausted
from marquee.sources import Source, is_s3

R = TypeVar("R")

BATCH_PATIENCE_SECONDS = 600.0
_AHEAD = 4
"""Pictures started or waiting to be printed, per job: a slow one holds no more results in memory than this."""
_QUICK_BYTES = 1024 * 1024
"""Of a file that is read sooner than a thread for it is woken."""


class Sources:
    """The FILEs' pictures. Standard input is read at once, where Ctrl-C interrupts it."""

    def __init__(self, files: Sequence[str]) -> None:
        self._stdin: Source | MarqueeError | OSError = b""
        if STDIN in files:
            try:
                self._stdin = load(STDIN)
            except (MarqueeError, OSError) as error:
                self._stdin = error

    async def read(self, file: str) -> Source:
        """Return what to send. Raises InvalidImage, ImageTooLarge, OSError."""
        if file != STDIN:
            return load(file) if is_s3(file) or _is_quick(file) else await asyncio.to_thread(load, file)
        if isinstance(self._stdin, MarqueeError | OSError):
            raise self._stdin
        return self._stdin


def run_until_interrupted(main: Coroutine[Any, Any, R]) -> R:
    """Run the coroutine. The first Ctrl-C cancels it, whenever it comes, and is a KeyboardInterrupt.

    Python's own handling loses one that comes just before a thread, or the event loop, begins to wait.
    """

    async def run() -> R:
        _cancel_on_ctrl_c()
        return await main

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def in_order(
    files: Iterable[str], jobs: int, work: Callable[[str], Awaitable[R]], is_last: Callable[[R], bool]
) -> AsyncGenerator[R]:
    """Yield one result per file, in order, with so many at work. Stops after one after which no other is of use."""
    waiting, places = iter(files), asyncio.Semaphore(jobs)
    started: deque[asyncio.Task[R]] = deque()

    async def start(file: str) -> R:
        async with places:
            return await work(file)

    try:
        while True:
            more = islice(waiting, _AHEAD * jobs - len(started))
            started += (asyncio.create_task(start(file)) for file in more)
            if not started:
                return
            result = await started.popleft()
            yield result
            if is_last(result):
                return
    finally:
        for task in started:
            task.cancel()
        await asyncio.gather(*started, return_exceptions=True)


async def patiently(call: Callable[[float], Awaitable[R]], timeout: float, patience: float) -> R:
    """Return what the call does, given its timeout; one that is refused for a time waits for that, and is repeated.

    It does so for as long as the patience lasts, in seconds.
    """
    end = time.monotonic() + patience
    while True:
        try:
            return await call(min(timeout, end - time.monotonic()))
        except ResourceExhausted as error:
            wait = error.retry_after
            if wait is None or time.monotonic() + wait > end:
                raise
            await asyncio.sleep(wait)


def _cancel_on_ctrl_c() -> None:
    if threading.current_thread() is not threading.main_thread() or not callable(signal.getsignal(signal.SIGINT)):
        return
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def cancel() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        if task is not None:
            task.cancel()

    with suppress(NotImplementedError):  # on Windows
        loop.add_signal_handler(signal.SIGINT, cancel)


def _is_quick(file: str) -> bool:
    """Return whether to read the file at once. Raises OSError."""
    status = os.stat(file)  # noqa: PTH116 - Path's takes twice as long
    return stat.S_ISREG(status.st_mode) and status.st_size <= _QUICK_BYTES
