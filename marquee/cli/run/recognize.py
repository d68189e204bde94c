"""Recognize pictures in parallel, and print and draw them in the order given."""

import time
from collections import deque
from collections.abc import Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from threading import Event

from marquee.cli.draw.style import Style
from marquee.cli.exits import Exit, exit_of
from marquee.cli.inputs import STDIN, Pictures, load
from marquee.cli.options import Output
from marquee.cli.output import FileResult, printer_of
from marquee.cli.server import Server
from marquee.cli.terminal import Progress, print_note
from marquee.client import Client
from marquee.enums import Outcome
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
    jobs: int
    strict: bool


@dataclass(frozen=True, slots=True)
class _Run:
    """What the calls of a run share."""

    args: RecognizeArgs
    client: Client
    executor: ThreadPoolExecutor
    ended: Event = field(default_factory=Event)
    """Whether nobody waits for results any more."""


def run(args: RecognizeArgs) -> Exit:
    """Recognize, print and draw the files. Returns the worst file's exit code."""
    worst = Exit.OK
    for note in args.pictures.notes:
        print_note(note)
    print_result = printer_of(args.output, one_line=not args.pictures.is_single)
    pictures = len(args.pictures.files)
    # The executor is entered first, so that it exits last: it waits for calls, which closing the client ends.
    with (
        ThreadPoolExecutor(args.jobs) as executor,
        args.server.connect() as client,
        Progress(pictures) as progress,
        closing(_results(_Run(args, client, executor))) as results,
    ):
        for result in results:
            with progress.paused():
                print_result(result)
                progress.advance()
            worst = max(worst, _exit_of(result, strict=args.strict))
    return worst


def _results(run: _Run) -> Generator[FileResult, None, None]:
    """Yield one per file, in order. Stops after the first error that would apply to every other file."""
    files = iter(run.args.pictures.files)
    started: deque[Future[FileResult]] = deque()
    try:
        while True:
            started += (_start(run, file) for file in islice(files, _AHEAD * run.args.jobs - len(started)))
            if not started:
                return
            result = started.popleft().result()
            yield result
            if isinstance(result.error, _SAME_FOR_ALL) and not isinstance(result.error, InvalidImage):
                return
    finally:
        run.ended.set()
        for future in started:
            future.cancel()


def _start(run: _Run, file: str) -> Future[FileResult]:
    """Start to recognize the file. Standard input is read here, in the main thread, which Ctrl-C interrupts."""
    try:
        source = load(file) if file == STDIN else None
    except (MarqueeError, OSError) as error:
        failed: Future[FileResult] = Future()
        failed.set_result(FileResult(file, error=error))
        return failed
    return run.executor.submit(_result, run, file, source)


def _result(run: _Run, file: str, source: Source | None) -> FileResult:
    try:
        source = source or load(file)
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
    from marquee.cli.draw.draw import draw  # noqa: PLC0415 - only drawing needs Pillow

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
