"""Answers in memory, bounded by bytes and age."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from prometheus_client import Counter, Gauge

from services.gateway.backends.models import Versions
from services.runtime.limits import MIB

ENTRY_BYTES = 480
"""What an entry takes besides its answer."""
_SWEEPS = 10
"""How often all that is too old is dropped, in the time that something may be kept."""
_bytes = Gauge("marquee_cache_bytes", "Memory that kept answers take, in bytes.")
_entries = Gauge("marquee_cache_entries", "Number of kept answers.")
_dropped = Counter(
    "marquee_cache_dropped",
    "Total answers that are kept no more, by reason: full, expired, or outdated by another model or gallery.",
    ("reason",),
)
for _reason in ("full", "expired", "outdated"):
    _dropped.labels(_reason)  # from 0 on, so that Prometheus sees the first one, too


class Entry(NamedTuple):
    """A kept answer."""

    answer: bytes
    """Serialized."""
    versions: tuple[tuple[str, frozenset[tuple[str, str]]], ...]
    """The models for which it holds, by recognizer."""
    time: float
    saved: Sequence[tuple[str, int]] = ()
    """Of a response that is made of answers, what each recognizer's saves, in millionths of a US dollar."""


class Memory:
    """Answers by key. The one that was used least recently goes first; none is older than `ttl` seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._most = self._size = 0
        self._ttl = self._next_sweep = 0.0

    def resize(self, mib: int, ttl: float) -> None:
        """Set the bounds, and drop what is over them."""
        self._most, self._ttl = mib * MIB, ttl
        _bytes.set_function(lambda: self._size)  # at each scrape
        _entries.set_function(lambda: len(self._entries))
        self._shrink()
        self._sweep()

    @property
    def is_off(self) -> bool:
        """Whether nothing is kept."""
        return not self._most

    @property
    def size(self) -> int:
        """Bytes that are held."""
        return self._size

    def get(self, key: bytes, versions: Versions) -> bytes | None:
        """Return the answer, if it is there and holds for the models of the moment."""
        entry = self.find(key, versions)
        return None if entry is None else entry.answer

    def find(self, key: bytes, versions: Versions) -> Entry | None:
        """Return what is kept, if it is there and holds for the models of the moment."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if self._clock() - entry.time >= self._ttl:
            self._drop(key, "expired")
        elif any(versions.get(name, frozenset()) != models for name, models in entry.versions):
            self._drop(key, "outdated")
        else:
            self._entries.move_to_end(key)
            return entry
        return None

    def put(self, key: bytes, answer: bytes, versions: Versions) -> None:
        """Keep the answer, which holds for these models."""
        self._add(key, Entry(answer, tuple(versions.items()), self._clock()))

    def join(self, key: bytes, response: bytes, parts: Iterable[bytes], saved: Sequence[tuple[str, int]]) -> None:
        """Keep a response that is made of the answers of these keys, for as long as all of them could be used."""
        entries = [self._entries[part] for part in parts if part in self._entries]
        if len(entries) == len(saved):
            versions = tuple(chain.from_iterable(entry.versions for entry in entries))
            self._add(key, Entry(response, versions, min(entry.time for entry in entries), saved))

    def _add(self, key: bytes, entry: Entry) -> None:
        if self._clock() >= self._next_sweep:
            self._sweep()
        if key in self._entries:
            self._remove(key)
        self._entries[key] = entry
        self._size += len(entry.answer) + ENTRY_BYTES
        self._shrink()

    def _shrink(self) -> None:
        while self._size > self._most:
            self._drop(next(iter(self._entries)), "full")

    def _sweep(self) -> None:
        oldest = self._clock() - self._ttl
        for key in [key for key, entry in self._entries.items() if entry.time <= oldest]:
            self._drop(key, "expired")
        self._next_sweep = self._clock() + self._ttl / _SWEEPS

    def _drop(self, key: bytes, reason: str) -> None:
        _dropped.labels(reason).inc()
        self._remove(key)

    def _remove(self, key: bytes) -> None:
        self._size -= len(self._entries.pop(key).answer) + ENTRY_BYTES
