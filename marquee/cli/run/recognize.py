"""Recognize pictures in parallel, and print and draw them in the order given."""

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from marquee.async_client import AsyncClient
from marquee.cli.exits import Exit, exit_of
from marquee.cli.inputs import Pictures
from marquee.cli.options import Output
from marquee.cli.output import FileResult, printer_of
from marquee.cli.run.parallel import (
    BATCH_PATIENCE_SECONDS,
    Sources,
    in_order,
    patiently,
    run_until_interrupted,
)
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
    ScopeMissing,
    Unauthenticated,
    Unreachable,
)
from marquee.requests import CallOptions
from marquee.results import Recognition
from marquee.sources import Source, is_s3

_SUCCESSES = (Outcome.OK, Outcome.SKIPPED)
_SAME_FOR_ALL = (CollectionForbidden, InvalidRequest, ScopeMissing, Unauthenticated, Unreachable)


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
    sources: Sources

    @cached_property
    def store(self) -> Store:
        """Where pictures in S3 are. Raises OSError."""
        return Store()


def run(args: RecognizeArgs) -> Exit:
    """Recognize, print and draw the files. Returns the worst file's exit code."""
    for note in args.pictures.notes:
        print_note(note)
    return run_until_interrupted(_run(args, Sources(args.pictures.files)))


async def _run(args: RecognizeArgs, sources: Sources) -> Exit:
    worst = Exit.OK
    print_result = printer_of(
        args.output,
        one_line=not args.pictures.is_single,
        rows=args.rows,
        max_labels=args.options.get("max_labels"),
        timings=args.timings,
    )
    files = args.pictures.files
    async with args.server.connect_async(batch=args.batch) as client:
        run = _Run(args, client, sources)
        with Progress(len(files)) as progress:
            async with aclosing(in_order(files, args.jobs, partial(_result, run), _is_last)) as results:
                async for result in results:
                    progress.advance()
                    with progress.paused():
                        print_result(result)
                    worst = max(worst, _exit_of(result, strict=args.strict))
    return worst


def _is_last(result: FileResult) -> bool:
    """Return whether the error would apply to every other file."""
    return isinstance(result.error, _SAME_FOR_ALL) and not isinstance(result.error, InvalidImage)


async def _result(run: _Run, file: str) -> FileResult:
    try:
        source = await run.sources.read(file)
        recognition = await _recognize(run, source)
    except (MarqueeError, OSError) as error:
        return FileResult(file, error=error)
    if file not in run.args.targets:
        return FileResult(file, recognition)
    return await asyncio.to_thread(_drawn, run, file, source, recognition)


async def _recognize(run: _Run, source: Source) -> Recognition:
    """Recognize the picture, within the timeout, but in a batch for longer: there others go first."""
    timeout = run.args.timeout
    patience = max(timeout, BATCH_PATIENCE_SECONDS) if run.args.batch else timeout
    return await patiently(
        lambda left: run.client.recognize(source, timeout=left, **run.args.options), timeout, patience
    )


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
