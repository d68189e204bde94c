"""Bulkheads: how many calls run at once, and which of them are refused first.

A call beyond the limit is refused at once, with the time after which a place is likely to be free: in a queue it would
be late, and make those behind it late, too. Calls of priority batch leave a quarter of the places to all others.
"""

import math
import random
import time
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

from prometheus_client import Counter, Gauge

from services.runtime.errors import BatchRefused, Overloaded

PRIORITY_KEY = "marquee-priority"
"""Metadata key of a call's priority. "batch" lowers it; nothing raises it."""
_BATCH = "batch"
LOWERED = ((PRIORITY_KEY, _BATCH),)
"""Metadata of a call that gives way to others."""
_BATCH_SHARE = 0.75
_WAIT_SECONDS = 0.1, 10.0
"""The least and the most that a refused call is asked to wait."""
_FIRST_SECONDS = 1.0
"""What a call is taken to last until the first one has ended."""
_WEIGHT = 1 / 16
_refused = Counter(
    "marquee_bulkhead_refused",
    "Total calls refused since too many were in flight, by priority.",
    ("bulkhead", "priority"),
)
_running = Gauge("marquee_bulkhead_calls", "Calls that hold a place of a bulkhead.", ("bulkhead",))
_limits = Gauge(
    "marquee_bulkhead_limit", "Places of a bulkhead; calls of priority batch may use 3/4 of them.", ("bulkhead",)
)
_is_batch: ContextVar[bool] = ContextVar("is_batch", default=False)


def enter(metadata: Iterable[tuple[str, Any]]) -> None:
    """Set the priority of the current call by its metadata."""
    _is_batch.set(bool(lowered(metadata)))


def lowered(metadata: Iterable[tuple[str, Any]]) -> tuple[tuple[str, str], ...]:
    """Return what of the metadata, or of an HTTP request's headers, lowers a call's priority."""
    return LOWERED if any(key == PRIORITY_KEY and value == _BATCH for key, value in metadata) else ()


def is_batch() -> bool:
    """Return whether the current call has priority batch, so that others go first."""
    return _is_batch.get()


def priority() -> tuple[tuple[str, str], ...]:
    """Return metadata with which calls made for the current one have its priority."""
    return LOWERED if _is_batch.get() else ()


class Bulkhead:
    """Places for calls: without a limit, as many as come.

    `name` is that in metrics; `calls` and `error` say what is limited.
    """

    def __init__(
        self, name: str = "", calls: str = "Calls", limit: float = math.inf, error: type[Overloaded] = Overloaded
    ) -> None:
        self.name = name
        self.limit = limit
        self._calls = calls
        self._error = error
        self._running = 0
        self._seconds = _FIRST_SECONDS
        if name:
            self._export()

    def check(self) -> None:
        """Raise Overloaded if there is no place for the current call now; BatchRefused if there is one for others."""
        if self._running >= self.limit:
            error, share = self._error, ""
        elif _is_batch.get() and self._running and self._running + 1 > self.limit * _BATCH_SHARE:
            error, share = BatchRefused, " for calls of priority batch"
        else:
            return
        _refused.labels(self.name, _BATCH if _is_batch.get() else "interactive").inc()
        message = f"{self._calls} in flight: {self._running}, the limit{share}. Try again later."
        raise error(message, retry_after=self._wait())

    def place(self) -> "_Place":
        """Hold a place in the returned context. Raises what `check` does."""
        self.check()
        return _Place(self)

    def enter(self) -> None:
        """Count a call that begins."""
        self._running += 1

    def leave(self, seconds: float) -> None:
        """Count a call that has ended."""
        self._running -= 1
        self._seconds += (seconds - self._seconds) * _WEIGHT

    def _wait(self) -> float:
        """Return about as many seconds as a call lasts: calls that are refused together do not come back together."""
        least, most = _WAIT_SECONDS
        return min(max(self._seconds * random.uniform(0.5, 1.5), least), most)  # noqa: S311 - no secret

    def _export(self) -> None:
        """Show the numbers at each scrape, in place of those of a bulkhead of that name before."""
        _running.labels(self.name).set_function(lambda: self._running)
        _limits.labels(self.name).set_function(lambda: self.limit)
        for one in (_BATCH, "interactive"):
            _refused.labels(self.name, one)


class _Place:
    """A place of a bulkhead."""

    def __init__(self, bulkhead: Bulkhead) -> None:
        self._bulkhead = bulkhead

    def __enter__(self) -> None:
        self._begin = time.perf_counter()
        self._bulkhead.enter()

    def __exit__(self, *_: object) -> None:
        self._bulkhead.leave(time.perf_counter() - self._begin)
