"""How many requests came, and what became of them."""

from collections import Counter
from threading import Lock

KINDS = ("billed", "refused", "throttled", "failed", "reset")
"""Billed are those that were done, also where the answer was then lost."""


class Tally:
    """Counts by operation and kind. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def count(self, operation: str, kind: str) -> None:
        """One more; `kind` is one of KINDS."""
        with self._lock:
            self._counts[operation, kind] += 1

    def told(self) -> dict[str, dict[str, int]]:
        """By operation, then by kind; those that were asked for."""
        with self._lock:
            names = sorted({operation for operation, _ in self._counts})
            return {name: {kind: self._counts[name, kind] for kind in KINDS} for name in names}
