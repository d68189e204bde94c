"""The reserve: what a response needs of its caller's time once the recognizers have answered."""

import time
from collections.abc import Callable

_WAY_SECONDS, _WAY_SHARE = 0.05, 0.1
"""Time for the way to the caller, which a server cannot measure: this, or of a short deadline a tenth."""
_MAX_SECONDS, _MAX_SHARE = 0.25, 0.5
_SAFETY = 2.0
_HALF_LIFE_SECONDS = 10.0


class Reserve:
    """The longest of late that passed from the last answer, or timeout, until the response was there.

    How late the event loop hears of either is a part of that. What was longest counts half after ten seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._longest, self._time = 0.05, clock()

    def observe(self, seconds: float) -> None:
        """Note how long it took this time."""
        now = self._clock()
        self._longest = max(
            min(seconds, _MAX_SECONDS), self._longest * 0.5 ** ((now - self._time) / _HALF_LIFE_SECONDS)
        )
        self._time = now

    def of(self, left: float) -> float:
        """Return the seconds to keep back of those until the caller gives up."""
        way = min(_WAY_SECONDS, left * _WAY_SHARE)
        return max(0.0, min(way + _SAFETY * self._longest, _MAX_SECONDS, left * _MAX_SHARE))
