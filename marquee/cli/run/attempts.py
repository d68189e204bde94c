"""Recognizes several pictures at a time and tells of each in the order given."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum

from marquee.cli.inputs import told
from marquee.enums import Outcome
from marquee.errors import InvalidImage, InvalidRequest, MarqueeError, Unreachable
from marquee.results import Recognition

_FINE = (Outcome.OK, Outcome.SKIPPED)


class Exit(IntEnum):
    """What scripts are told; the worst of several pictures counts."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one FILE: a recognition or an error."""

    file: str
    recognition: Recognition | None = None
    error: MarqueeError | OSError | None = None

    @property
    def message(self) -> str:
        """What went wrong; empty where nothing did."""
        return told(self.error) if isinstance(self.error, OSError) else str(self.error or "")

    def exit(self, *, strict: bool) -> Exit:
        """The exit code for this picture; `strict` counts a failed recognizer as a failure."""
        if self.error is not None:
            return exit_of(self.error)
        results = self.recognition.results if self.recognition else ()
        return Exit.FAILED if strict and any(result.outcome not in _FINE for result in results) else Exit.OK


def attempts(
    files: Sequence[str], recognize: Callable[[str], Recognition], executor: ThreadPoolExecutor
) -> Generator[Attempt, None, None]:
    """One per file, in order. Ends after the first error that every other file would meet too."""

    def attempt(file: str) -> Attempt:
        try:
            return Attempt(file, recognize(file))
        except (MarqueeError, OSError) as error:
            return Attempt(file, error=error)

    for done in executor.map(attempt, files):
        yield done
        if done.error is not None and exit_of(done.error) in (Exit.USAGE, Exit.UNREACHABLE):
            return


def exit_of(error: MarqueeError | OSError) -> Exit:
    """The exit code for an error."""
    match error:
        case Unreachable():
            return Exit.UNREACHABLE
        case InvalidRequest() if not isinstance(error, InvalidImage):
            return Exit.USAGE
        case _:
            return Exit.FAILED
