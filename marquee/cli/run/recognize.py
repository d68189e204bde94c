"""Recognize pictures in parallel, and print and draw them in the order given."""

import asyncio
import hashlib
import os
import signal
import stat
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from marquee.async_client import AsyncClient
from marquee.cli.exits import Exit, exit_of
from marquee.cli.inputs import STDIN, Pictures, load
from marquee.cli.options import Output
from marquee.cli.output import FileResult, printer_of
from marquee.cli.server import Server
from marquee.cli.terminal import Progress, print_note
from marquee.draw.s3 import Store
from marquee.draw.style import Style
from marquee.enums import Findings, Outcome
from marquee.errors import (
    CollectionForbidden,
    InvalidImage,
    InvalidRequest,
    MarqueeError,
    ResourceExhausted,
    ScopeMissing,
    Unauthenticated,
    Unreachable,
)
from marquee.requests import CallOptions
from marquee.results import Recognition
from marquee.sources import Source, is_s3

_SUCCESSES = (Outcome.OK, Outcome.SKIPPED)
_SAME_FOR_ALL = (CollectionForbidden, InvalidRequest, ScopeMissing, Unauthenticated, Unreachable)
_AHEAD = 4
"""Pictures started or waiting to be printed, per job: a slow one holds no more results in memory than this."""
_BATCH_PATIENCE_SECONDS = 600.0
_QUICK_BYTES = 1024 * 1024
"""Of a file that is read sooner than a thread for it is woken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognizeArgs:
    """Validated arguments of `marquee recognize`."""

    pictures: Pictures
    server: Server
    timeout: float
    options: CallOptions
    targets: Mapping[str, Path]
    """FILE → where to draw it."""
    style: Style
    output: Output
    rows: Findings
    jobs: int
    batch: bool
    timings: bool
    strict: bool


@dataclass(frozen=True)
class _Run:
    """What the calls of a run share."""

    args: RecognizeArgs
    client: AsyncClient
    stdin: Source | MarqueeError | OSError
    jobs: asyncio.Semaphore

    @cached_property
    def store(self) -> Store:
        """Where pictures in S3 are. Raises OSError."""
        return Store()


def run(args: RecognizeArgs) -> Exit:
    """Recognize, print and draw the files. Returns the worst file's exit code."""
    for note in args.pictures.notes:
        print_note(note)
    stdin = _standard_input() if STDIN in args.pictures.files else b""  # read here, where Ctrl-C interrupts it
    try:
        return asyncio.run(_run(args, stdin))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _standard_input() -> Source | MarqueeError | OSError:
    try:
        return load(STDIN)
    except (MarqueeError, OSError) as error:
        return error


async def _run(args: RecognizeArgs, stdin: Source | MarqueeError | OSError) -> Exit:
    _cancel_on_ctrl_c()
    worst = Exit.OK
    print_result = printer_of(
        args.output,
        one_line=not args.pictures.is_single,
        rows=args.rows,
        max_labels=args.options.get("max_labels"),
        timings=args.timings,
    )
    pictures = len(args.pictures.files)
    async with args.server.connect_async(batch=args.batch) as client:
        run = _Run(args, client, stdin, asyncio.Semaphore(args.jobs))
        with Progress(pictures) as progress:
            async with aclosing(_results(run)) as results:
                async for result in results:
                    progress.advance()
                    with progress.paused():
                        print_result(result)
                    worst = max(worst, _exit_of(result, strict=args.strict))
    return worst


def _cancel_on_ctrl_c() -> None:
    """Let the first Ctrl-C cancel the current task, whenever it comes.

    Python's own handling loses one that comes just before a thread, or the event loop, begins to wait.
    """
    if threading.current_thread() is not threading.main_thread() or not callable(signal.getsignal(signal.SIGINT)):
        return
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def cancel() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        if task is not None:
            task.cancel()

    with suppress(NotImplementedError):  # on Windows
        loop.add_signal_handler(signal.SIGINT, cancel)


async def _results(run: _Run) -> AsyncGenerator[FileResult]:
    """Yield one per file, in order. Stops after the first error that would apply to every other file."""
    files = iter(run.args.pictures.files)
    started: deque[asyncio.Task[FileResult]] = deque()
    try:
        while True:
            more = islice(files, _AHEAD * run.args.jobs - len(started))
            started += (asyncio.create_task(_result(run, file)) for file in more)
            if not started:
                return
            result = await started.popleft()
            yield result
            if isinstance(result.error, _SAME_FOR_ALL) and not isinstance(result.error, InvalidImage):
                return
    finally:
        for task in started:
            task.cancel()
        await asyncio.gather(*started, return_exceptions=True)


async def _result(run: _Run, file: str) -> FileResult:
    async with run.jobs:
        try:
            source = await _source(run, file)
            recognition = await _recognize(run, source)
        except (MarqueeError, OSError) as error:
            return FileResult(file, error=error)
        if file not in run.args.targets:
            return FileResult(file, recognition)
        return await asyncio.to_thread(_drawn, run, file, source, recognition)


async def _source(run: _Run, file: str) -> Source:
    """Return what to send. Raises InvalidImage, ImageTooLarge, OSError."""
    if file != STDIN:
        return load(file) if is_s3(file) or _is_quick(file) else await asyncio.to_thread(load, file)
    if isinstance(run.stdin, MarqueeError | OSError):
        raise run.stdin
    return run.stdin


def _is_quick(file: str) -> bool:
    """Return whether to read the file at once. Raises OSError."""
    status = os.stat(file)  # noqa: PTH116 - Path's takes twice as long
    return stat.S_ISREG(status.st_mode) and status.st_size <= _QUICK_BYTES


async def _recognize(run: _Run, source: Source) -> Recognition:
    """Recognize the picture. A call that is refused with a time after which to try again waits for that.

    It does within the timeout, but in a batch for longer: there others go first, and each try has the whole timeout.
    """
    timeout = run.args.timeout
    end = time.monotonic() + (max(timeout, _BATCH_PATIENCE_SECONDS) if run.args.batch else timeout)
    while True:
        try:
            left = min(timeout, end - time.monotonic())
            return await run.client.recognize(source, timeout=left, **run.args.options)
        except ResourceExhausted as error:
            wait = error.retry_after
            if wait is None or time.monotonic() + wait > end:
                raise
            await asyncio.sleep(wait)


def _drawn(run: _Run, file: str, source: Source, recognition: Recognition) -> FileResult:
    """Draw the recognition. It stays valid, and may have cost money, if this fails."""
    from marquee.draw.drawing import Drawing  # noqa: PLC0415 - only drawing needs Pillow

    try:
        content = source if isinstance(source, bytes) else run.store.fetch(file)
        drawing = Drawing(content, recognition, run.args.style)
        drawing.save(run.args.targets[file])
    except OSError as error:
        return FileResult(file, recognition, error)
    is_other = is_s3(file) and recognition.image.sha256 not in ("", hashlib.sha256(content).hexdigest())
    changed = (f"{file} is not what was recognized: it has changed since.",) if is_other else ()
    return FileResult(file, recognition, notes=(*changed, *drawing.notes))


def _exit_of(result: FileResult, *, strict: bool) -> Exit:
    if result.error is not None:
        return exit_of(result.error)
    results = result.recognition.results if result.recognition else ()
    return Exit.FAILED if strict and any(one.outcome not in _SUCCESSES for one in results) else Exit.OK
