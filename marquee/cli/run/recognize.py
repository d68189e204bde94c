"""Recognize pictures in parallel, and print and draw them in the order given."""

from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from marquee.cli.draw.style import Style
from marquee.cli.exits import Exit, exit_of
from marquee.cli.inputs import load
from marquee.cli.options import Output
from marquee.cli.output import FileResult, printer_of
from marquee.cli.terminal import Progress
from marquee.client import Client
from marquee.enums import Outcome
from marquee.errors import MarqueeError
from marquee.requests import CallOptions
from marquee.results import Recognition

_SUCCESSES = (Outcome.OK, Outcome.SKIPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognizeArgs:
    """Validated arguments of `marquee recognize`."""

    files: Sequence[str]
    address: str | None
    timeout: float
    options: CallOptions
    targets: Mapping[str, Path]
    """FILE → where to draw it."""
    style: Style
    output: Output
    jobs: int
    strict: bool


def run(args: RecognizeArgs) -> Exit:
    """Recognize, print and draw the files. Returns the worst file's exit code."""
    worst = Exit.OK
    print_result = printer_of(args.output, len(args.files))
    # The executor is entered first, so that it exits last: it waits for calls, which closing the client ends.
    with (
        ThreadPoolExecutor(args.jobs) as executor,
        Client(args.address) as client,
        Progress(len(args.files)) as progress,
        closing(_results(args, client, executor)) as results,
    ):
        for result in results:
            with progress.paused():
                print_result(result)
                progress.advance()
            worst = max(worst, _exit_of(result, strict=args.strict))
    return worst


def _results(args: RecognizeArgs, client: Client, executor: ThreadPoolExecutor) -> Generator[FileResult, None, None]:
    """Yield one per file, in order. Stops after the first error that would apply to every other file."""
    for result in executor.map(partial(_result, args, client), args.files):
        yield result
        if result.error is not None and exit_of(result.error) in (Exit.USAGE, Exit.UNREACHABLE):
            return


def _result(args: RecognizeArgs, client: Client, file: str) -> FileResult:
    try:
        return FileResult(file, _recognize(args, client, file))
    except (MarqueeError, OSError) as error:
        return FileResult(file, error=error)


def _recognize(args: RecognizeArgs, client: Client, file: str) -> Recognition:
    source = load(file)
    recognition = client.recognize(source, timeout=args.timeout, **args.options)
    if isinstance(source, bytes) and file in args.targets:
        from marquee.cli.draw.draw import draw  # noqa: PLC0415 - only drawing needs Pillow

        draw(source, recognition, args.style, args.targets[file])
    return recognition


def _exit_of(result: FileResult, *, strict: bool) -> Exit:
    if result.error is not None:
        return exit_of(result.error)
    results = result.recognition.results if result.recognition else ()
    return Exit.FAILED if strict and any(one.outcome not in _SUCCESSES for one in results) else Exit.OK
