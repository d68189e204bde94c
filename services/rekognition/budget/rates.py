"""How many calls a second go out: AWS's quotas, shared fairly by the replicas."""

import time
from collections.abc import Mapping

from services.rekognition.budget.prices import MICRO_USD, Api
from services.runtime.errors import Throttled

_BURST_SECONDS = 0.1
"""What an idle bucket saves up: AWS counts by the second, so one that is full at most passes 1.1 quotas in one."""


class TokenBucket:
    """Lets `rate` calls a second through, evenly, in the order in which they come. For one event loop."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._next = 0.0

    def take(self, longest: float) -> float:
        """Takes a token, of the future if need be; returns the seconds until it may be used.

        Raises Throttled, and takes none, where that is later than in `longest` seconds.
        """
        now = time.monotonic()
        saved = max(0.0, _BURST_SECONDS - 1 / self.rate)
        at = max(self._next, now - saved)
        wait = max(0.0, at - now)
        if wait > longest:
            raise Throttled(
                f"Rekognition's quota of {self.rate:g} calls a second is used up until after the call's deadline. "
                "Try again later, or ask AWS for a higher quota.",
                retry_after=wait,
            )
        self._next = at + 1 / self.rate
        return wait


class Rates:
    """A bucket for each operation."""

    def __init__(self, quota: float, own: Mapping[Api, float], replicas: int = 1) -> None:
        self._quotas = {api: own.get(api, quota) for api in MICRO_USD}
        self._buckets = {api: TokenBucket(rate) for api, rate in self._quotas.items()}
        self.share(replicas)

    def share(self, replicas: int) -> None:
        """Gives each of so many replicas the same part of every quota."""
        for api, bucket in self._buckets.items():
            bucket.rate = self._quotas[api] / max(1, replicas)

    def take(self, api: Api, longest: float) -> float:
        """The seconds until the operation may be called. Raises Throttled; see TokenBucket.take."""
        return self._buckets[api].take(longest)
