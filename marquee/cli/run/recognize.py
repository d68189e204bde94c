"""Recognize pictures in parallel, and print and draw them in the order given."""

import asyncio
import signal
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from threading import Event

from marquee.cli.exits import Exit, exit_of
from marquee.cli.inputs import STDIN, Pictures, load
from marquee.cli.options import Output
from marquee.cli.output import FileResult, printer_of
from marquee.cli.server import Server
from marquee.cli.terminal import Progress, print_note
from marquee.client import Client
from marquee.draw.style import Style
from marquee.enums import Findings, Outcome
from marquee.errors import (
    CollectionForbidden,
    InvalidImage,
    InvalidRequest,
    MarqueeError,
    RateExceeded,
    ScopeMissing,
    Unauthenticated,
    Unreachable,
)
from marquee.requests import CallOptions
from marquee.results import Recognition
from marquee.sources import Source

_SUCCESSES = (Outcome.OK, Outcome.SKIPPED)
_SAME_FOR_ALL = (CollectionForbidden, InvalidRequest, ScopeMissing, Unauthenticated, Unreachable)
_AHEAD = 4
"""Pictures started or waiting to be printed, per job: a slow one holds no more results in memory than this."""


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
    strict: bool


@dataclass(frozen=True, slots=True)
class _Run:
    """What the calls of a run share."""

    args: RecognizeArgs
    client: Client
    executor: ThreadPoolExecutor
    stdin: Future[Source]
    ended: Event = field(default_factory=Event)
    """Whether nobody waits for results any more."""


def run(args: RecognizeArgs) -> Exit:
    """Recognize, print and draw the files. Returns the worst file's exit code."""
    for note in args.pictures.notes:
        print_note(note)
    stdin = Future[Source]()
    if STDIN in args.pictures.files:  # read here, where Ctrl-C interrupts it
        _read_into(stdin)
    try:
        return asyncio.run(_run(args, stdin))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _read_into(stdin: Future[Source]) -> None:
    try:
        stdin.set_result(load(STDIN))
    except (MarqueeError, OSError) as error:
        stdin.set_exception(error)


async def _run(args: RecognizeArgs, stdin: Future[Source]) -> Exit:
    _cancel_on_ctrl_c()
    worst = Exit.OK
    print_result = printer_of(
        args.output,
        one_line=not args.pictures.is_single,
        rows=args.rows,
        max_labels=args.options.get("max_labels"),
    )
    pictures = len(args.pictures.files)
    # The executor is entered first, so that it exits last: it waits for calls, which closing the client ends.
    with (
        ThreadPoolExecutor(args.jobs) as executor,
        args.server.connect() as client,
        Progress(pictures) as progress,
    ):
        async with aclosing(_results(_Run(args, client, executor, stdin))) as results:
            async for result in results:
                with progress.paused():
                    print_result(result)
                    progress.advance()
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
    started: deque[asyncio.Future[FileResult]] = deque()
    loop = asyncio.get_running_loop()
    try:
        while True:
            more = islice(files, _AHEAD * run.args.jobs - len(started))
            started += (loop.run_in_executor(run.executor, _result, run, file) for file in more)
            if not started:
                return
            result = await started.popleft()
            yield result
            if isinstance(result.error, _SAME_FOR_ALL) and not isinstance(result.error, InvalidImage):
                return
    finally:
        run.ended.set()
        for future in started:
            future.cancel()


def _result(run: _Run, file: str) -> FileResult:
    try:
        source = run.stdin.result() if file == STDIN else load(file)
        recognition = _recognize(run, source)
    except (MarqueeError, OSError) as error:
        return FileResult(file, error=error)
    return FileResult(file, recognition, _drawing_error(run.args, file, source, recognition))


def _recognize(run: _Run, source: Source) -> Recognition:
    """Recognize the picture. A caller who makes too many calls a second waits for room, within the timeout."""
    left, end = run.args.timeout, time.monotonic() + run.args.timeout
    while True:
        try:
            return run.client.recognize(source, timeout=left, **run.args.options)
        except RateExceeded as error:
            wait = error.retry_after
            if wait is None or time.monotonic() + wait > end or run.ended.wait(wait):
                raise
            left = end - time.monotonic()


def _drawing_error(args: RecognizeArgs, file: str, source: Source, recognition: Recognition) -> OSError | None:
    """Draw the recognition if asked to. It stays valid, and may have cost money, if this fails."""
    if not isinstance(source, bytes) or file not in args.targets:
        return None
    from marquee.draw.drawing import draw  # noqa: PLC0415 - only drawing needs Pillow

    try:
        draw(source, recognition, args.style, args.targets[file])
    except OSError as error:
        return error
    return None


def _exit_of(result: FileResult, *, strict: bool) -> Exit:
    if result.error is not None:
        return exit_of(result.error)
    results = result.recognition.results if result.recognition else ()
    return Exit.FAILED if strict and any(one.outcome not in _SUCCESSES for one in results) else Exit.OK
