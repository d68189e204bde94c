"""Standard output and standard error, and the progress bar."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from marquee.cli.table import Text, print_line
from marquee.draw.text import clean

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


def print_json(value: object, *, one_line: bool = False) -> None:
    """Print the value to standard output, indented or on one line.

    Characters that could control a terminal, or that it cannot show, are escaped.
    """
    indent = None if one_line else 2
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    if not _is_plain(text):
        value = _decoded(value)
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    sys.stdout.write((text if _is_plain(text) else json.dumps(value, allow_nan=False, indent=indent)) + "\n")
    sys.stdout.flush()


def print_error(name: str, message: str) -> None:
    """Print one red line to standard error: what failed, and why."""
    print_line(Text(f"{clean(name)}: {clean(message)}" if name else clean(message), "red"), file=sys.stderr)


def print_note(message: str) -> None:
    """Print one yellow line to standard error."""
    print_line(Text(clean(message), "yellow"), file=sys.stderr)


def _is_plain(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return False
    return text.replace("\n", "").isprintable()


def _decoded(value: Any) -> Any:
    """Return the value with backslashes for surrogates, which stand for bytes of file names that are not UTF-8."""
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case Mapping():
            return {key: _decoded(item) for key, item in value.items()}
        case Sequence():
            return [_decoded(item) for item in value]
        case _:
            return value


class Progress:
    """Progress bar on standard error. Hidden for a single picture, or without a terminal."""

    def __init__(self, total: int) -> None:
        self._bar = _bar() if total > 1 and sys.stderr.isatty() else None
        self._is_in_the_way = sys.stdout.isatty()
        self._task = self._bar.add_task("", total=total) if self._bar else None

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self, pictures: int = 1) -> None:
        """Advance the bar by that many pictures."""
        if self._bar and self._task is not None:
            self._bar.advance(self._task, pictures)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hide the bar while something is printed to the same terminal."""
        if self._bar is None or not self._is_in_the_way:
            yield
            return
        self._bar.stop()
        yield
        self._bar.start()


def _bar() -> "Bar":
    from rich import progress  # noqa: PLC0415 - only long runs need it
    from rich.console import Console  # noqa: PLC0415 - likewise

    columns = (progress.BarColumn(), progress.MofNCompleteColumn(), progress.TimeRemainingColumn())
    return progress.Progress(
        *columns, console=Console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False
    )
