"""Standard output and standard error, and the progress bar."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

_FILE_WIDTH = 240


def stdout() -> Console:
    """Return standard output. In a pipe or file, lines are not cut to a terminal's width."""
    fit = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(highlight=False, markup=False, emoji=False, width=None if fit else _FILE_WIDTH)


def stderr() -> Console:
    """Return standard error. Long lines are left to the terminal."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def clean(text: str) -> str:
    """Replace characters that could control a terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def print_json(value: object, *, one_line: bool = False) -> None:
    """Print the value to standard output, indented or on one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=None if one_line else 2) + "\n")
    sys.stdout.flush()


def print_error(name: str, message: str) -> None:
    """Print one red line to standard error: what failed, and why."""
    stderr().print(Text(f"{clean(name)}: {clean(message)}" if name else clean(message), style="red"))


def print_note(message: str) -> None:
    """Print one yellow line to standard error."""
    stderr().print(Text(clean(message), style="yellow"))


class Progress:
    """Progress bar on standard error. Hidden for a single picture, or without a terminal."""

    def __init__(self, total: int) -> None:
        self._bar = _bar() if total > 1 and sys.stderr.isatty() else None
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
        """Hide the bar while something is printed."""
        if self._bar is None:
            yield
            return
        self._bar.stop()
        yield
        self._bar.start()


def _bar() -> "Bar":
    from rich import progress  # noqa: PLC0415 - only long runs need it

    columns = (progress.BarColumn(), progress.MofNCompleteColumn(), progress.TimeRemainingColumn())
    return progress.Progress(*columns, console=stderr(), transient=True, redirect_stdout=False, redirect_stderr=False)
