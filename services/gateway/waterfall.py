"""Where the time of a call went, in its answer and in its log line."""

import time
from typing import Any

from google.protobuf.duration_pb2 import Duration

from marquee.v1 import recognizer_pb2 as pb

_UNASKED = frozenset((pb.OUTCOME_SHED, pb.OUTCOME_SKIPPED))
_RECOGNIZER = ("start", "queue", "network", "recognizer")
_CALL = ("total", "queue", "recognizers", "fusion")


class Waterfall:
    """The times of one call, which began at `begin` and whose request is there now.

    All are of time.perf_counter()'s clock.
    """

    def __init__(self, begin: float) -> None:
        self._begin = begin
        self._there = time.perf_counter()
        self._first = self._last = self._there
        self._is_asked = False
        self._fusion = 0.0

    def ask(self) -> float:
        """Note that a recognizer is called; return when."""
        now = time.perf_counter()
        if not self._is_asked:
            self._first, self._is_asked = now, True
        return now

    def answered(self, response: pb.RecognizeImageResponse, asked: float) -> float:
        """Complete the times in a recognizer's response; return how many seconds it took.

        A recognizer tells its own times; the rest was the network, and all of it if it told none. A gateway has
        measured those behind it.
        """
        self._last = time.perf_counter()
        seconds = self._last - asked
        network = max(0.0, seconds - _seconds(response.timings.total))
        for result in response.results:
            timings = result.timings
            _set(timings.start, asked - self._begin + _seconds(timings.start))
            if not (response.gateway or result.from_cache or result.outcome in _UNASKED):
                _set(timings.network, network)
        return seconds

    def fused(self, begin: float) -> None:
        """Note that one response was made of all, between `begin` and now."""
        self._fusion += time.perf_counter() - begin

    def complete(self, timings: pb.CallTimings) -> None:
        """Fill in the call's times, which end now."""
        _set(timings.total, time.perf_counter() - self._begin)
        _set(timings.queue, self._there - self._begin)
        if self._is_asked:
            _set(timings.recognizers, self._last - self._first)
        _set(timings.fusion, self._fusion)


def logged(response: pb.RecognizeImageResponse) -> dict[str, Any]:
    """Return the response's times in milliseconds: of the call, and of each recognizer by its name."""
    times: dict[str, Any] = _times(response.timings, _CALL)
    for result in response.results:
        times[result.recognizer] = _times(result.timings, _RECOGNIZER)
    return times


def _times(timings: Any, names: tuple[str, ...]) -> dict[str, float]:
    return {name: _milliseconds(getattr(timings, name)) for name in names if timings.HasField(name)}


def _milliseconds(duration: Duration) -> float:
    """Return the duration in milliseconds with two decimals. There are many of them, and `round` is slow."""
    return (duration.seconds * 100_000 + (duration.nanos + 5_000) // 10_000) / 100


def _seconds(duration: Duration) -> float:
    return float(duration.seconds + duration.nanos / 1e9)


def _set(duration: Duration, seconds: float) -> None:
    whole = int(seconds)
    duration.seconds, duration.nanos = whole, int((seconds - whole) * 1e9)
