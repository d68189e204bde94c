"""Files that are read again when their content changes."""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog
from prometheus_client import Counter

from services.runtime.errors import DomainError

logger = structlog.get_logger()
T = TypeVar("T")
MIN_KEY_CHARACTERS = 32
_SECONDS = 2.0
_reloads = Counter(
    "marquee_reloads", "Total reloads of changed files, by what they hold and outcome.", ("what", "outcome")
)


class Watched(Generic[T]):
    """What is in some files, read again when their content changes; what is broken leaves the last good one in use.

    Contents are compared, not times: in a cluster files are links, which are swapped. `read` raises ValueError or
    OSError for what is broken; so does making this, also for a pipe, which would be waited for without end.
    """

    def __init__(
        self, what: str, paths: Sequence[Path], read: Callable[[], T], on_change: Callable[[T], None] | None = None
    ) -> None:
        self._what = what
        self._paths = paths
        self._read = read
        self._on_change = on_change
        for outcome in ("ok", "refused"):
            _reloads.labels(what, outcome)  # from 0 on, so that Prometheus sees the first one, too
        self._seen = self._print()
        self._refusal = ""
        self.value = read()

    async def refresh(self) -> None:
        """Read the files if they have changed since the last time, and call `on_change` with what they hold."""
        try:
            content = await asyncio.to_thread(self._print)
            if content == self._seen and not self._refusal:  # what is missing elsewhere may come later
                return
            self._seen = content
            value = await asyncio.to_thread(self._read)
            if self._on_change:
                self._on_change(value)
            self.value = value
        except Exception as exc:  # noqa: BLE001 - whatever a file does, others are watched on
            self._refuse(exc)
            return
        self._refusal = ""
        _reloads.labels(self._what, "ok").inc()
        logger.info("reloaded", what=self._what)

    def _refuse(self, exc: Exception) -> None:
        """Log and count the failure, unless it is the one before again: the files are read every 2 s until it ends."""
        reason = str(exc) or type(exc).__name__
        if reason == self._refusal:
            return
        self._refusal = reason
        _reloads.labels(self._what, "refused").inc()
        unforeseen = not isinstance(exc, OSError | ValueError | DomainError)
        logger.error("change refused; the old one stays in use", what=self._what, error=reason, exc_info=unforeseen)

    def _print(self) -> tuple[bytes, ...]:
        return tuple(map(_digest, self._paths))


def watched_keys(what: str, path: Path) -> Watched[tuple[str, ...]]:
    """Return the keys in a file, a line each, of which the first makes what all are believed of.

    Raises ValueError and OSError.
    """
    return Watched(what, [path], lambda: _read_keys(path))


async def watch(files: Callable[[], Iterable[Watched[Any]]], wake: asyncio.Event) -> None:
    """Refresh the files of the moment every 2 s, and at once when `wake` is set, until cancelled."""
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(wake.wait(), _SECONDS)
        wake.clear()
        for file in tuple(files()):
            await file.refresh()


def _read_keys(path: Path) -> tuple[str, ...]:
    keys = tuple(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())
    if not keys or any(len(key) < MIN_KEY_CHARACTERS for key in keys):
        raise ValueError(f"{path} has to hold keys of {MIN_KEY_CHARACTERS} characters or more, a line each.")
    return keys


def _digest(path: Path) -> bytes:
    if path.is_fifo():
        raise ValueError(f"{path} is a pipe: only a file can be read again.")
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError as exc:
        return str(exc).encode()
