"""Standard output and standard error, and the progress bar."""

import json
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from marquee.cli.table import Text, is_terminal, print_line
from marquee.draw.text import clean

_BAR_WIDTH = 40


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
    """Progress bar on standard error, below what is printed. Hidden for a single picture, or without a terminal."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        self._start = time.monotonic()
        self._is_shown = total > 1 and is_terminal(sys.stderr)

    def __enter__(self) -> Self:
        self._show()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write("")

    def advance(self, pictures: int = 1) -> None:
        """Advance the bar by that many pictures."""
        self.show(self._done + pictures, self._total)

    def show(self, done: int, total: int) -> None:
        """Show so many of so many pictures."""
        self._done, self._total = done, max(total, done) if total else 0
        self._is_shown = self._total > 1 and is_terminal(sys.stderr)
        self._show()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hide the bar while something is printed."""
        self._write("")
        yield
        self._show()

    def _show(self) -> None:
        if self._is_shown:
            self._write(self._bar())

    def _write(self, line: str) -> None:
        """Replace the line by this one."""
        if self._is_shown:
            sys.stderr.write(f"\r\x1b[2K{line}")
            sys.stderr.flush()

    def _bar(self) -> str:
        seconds = (time.monotonic() - self._start) * (self._total - self._done) / max(self._done, 1)
        left = str(timedelta(seconds=round(seconds))) if self._done else "-:--:--"
        facts = f" {self._done:,}/{self._total:,} {left}"
        width = max(min(_BAR_WIDTH, shutil.get_terminal_size().columns - len(facts) - 1), 0)
        return ("#" * (width * self._done // self._total)).ljust(width, ".") + facts
