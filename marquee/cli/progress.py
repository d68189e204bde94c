"""A progress bar on standard error, where somebody sees it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich import progress

from marquee.cli import terminal


class Progress:
    """Counts pictures; shows nothing for a single one, or away from a terminal."""

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
        """So many more are done."""
        if self._bar and self._task is not None:
            self._bar.advance(self._task, pictures)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Lifts the bar while something is printed."""
        if self._bar is None:
            yield
            return
        self._bar.stop()
        yield
        self._bar.start()


def _bar() -> progress.Progress:
    columns = (progress.BarColumn(), progress.MofNCompleteColumn(), progress.TimeRemainingColumn())
    return progress.Progress(
        *columns, console=terminal.stderr(), transient=True, redirect_stdout=False, redirect_stderr=False
    )
