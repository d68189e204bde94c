"""Does what `marquee recognize` was asked to do."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from marquee.cli.draw.style import Style
from marquee.cli.inputs import load
from marquee.cli.options import Output
from marquee.cli.output import printer_of
from marquee.cli.progress import Progress
from marquee.cli.run.attempts import Exit, attempts
from marquee.client import Client
from marquee.requests import CallOptions
from marquee.results import Recognition


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What was asked, already checked."""

    files: Sequence[str]
    address: str | None
    timeout: float
    call: CallOptions
    targets: Mapping[str, Path]
    """FILE → where it is drawn to."""
    style: Style
    output: Output
    jobs: int
    strict: bool


def run(asked: Run) -> Exit:
    """Recognizes, prints and draws; the worst picture's exit code."""
    worst = Exit.OK
    print_attempt = printer_of(asked.output, len(asked.files))
    # The executor comes first, so that it is left last: it waits for calls that closing the client ends.
    with (
        ThreadPoolExecutor(asked.jobs) as executor,
        Client(asked.address) as client,
        Progress(len(asked.files)) as progress,
        closing(attempts(asked.files, partial(_recognize, asked, client), executor)) as made,
    ):
        for attempt in made:
            with progress.aside():
                print_attempt(attempt)
                progress.advance()
            worst = max(worst, attempt.exit(strict=asked.strict))
    return worst


def _recognize(asked: Run, client: Client, file: str) -> Recognition:
    source = load(file)
    recognition = client.recognize(source, timeout=asked.timeout, **asked.call)
    if isinstance(source, bytes) and file in asked.targets:
        from marquee.cli.draw.draw import draw  # noqa: PLC0415 - Pillow is for those who draw

        draw(source, recognition, asked.style, asked.targets[file])
    return recognition
