"""Faults: throttling, errors, lost connections and latency drawn at given rates from a seed, and AWS's quotas."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from random import Random
from threading import Lock

from local.rekognition.wire.errors import AwsError
from services.rekognition.budget.quotas import QUOTAS, default_quota

_THROTTLING = (
    ("ProvisionedThroughputExceededException", "Provisioned rate exceeded"),
    ("ThrottlingException", "Rate exceeded"),
)
_ROUNDING = 1e-6


class Reset(Enum):
    """When the connection is reset."""

    BEFORE = auto()
    """Before the request runs."""
    AFTER = auto()
    """After the request has run and been billed; its response is lost."""


@dataclass(frozen=True)
class Rates:
    """Shares of all requests, 0 to 1. A request gets at most one fault, and may be slow as well."""

    throttle: float = 0.0
    error: float = 0.0
    reset: float = 0.0
    latency: float = 1.0
    latency_seconds: float = 0.0

    def __post_init__(self) -> None:
        if min(self.throttle, self.error, self.reset) < 0 or self.throttle + self.error + self.reset > 1:
            raise ValueError("The rates of throttling, errors and resets must be 0 or more and add up to at most 1.")


@dataclass(frozen=True)
class Fault:
    """What is injected into one request; by default nothing."""

    delay: float = 0.0
    """Seconds before the request is handled."""
    error: AwsError | None = None
    reset: Reset | None = None


class Faults:
    """The faults of requests, in order of arrival. Safe to share between threads."""

    def __init__(self, rates: Rates | None = None, seed: int = 0) -> None:
        self._rates = rates or Rates()
        self._random = Random(seed)  # noqa: S311 - a seed has to give the same faults every time
        self._lock = Lock()

    def next(self) -> Fault:
        """Draw the next request's fault."""
        with self._lock:  # always three draws a request, so that changed rates do not shift a seed's sequence
            fault, slow, which = (self._random.random() for _ in range(3))
        rates = self._rates
        delay = rates.latency_seconds if slow < rates.latency else 0.0
        if fault < rates.throttle:
            return Fault(delay, error=AwsError(*_THROTTLING[which < 0.5]))  # noqa: PLR2004 - either
        if fault < rates.throttle + rates.error:
            return Fault(delay, error=AwsError("InternalServerError", "Internal server error", 500))
        if fault < rates.throttle + rates.error + rates.reset:
            return Fault(delay, reset=Reset.AFTER if which < 0.5 else Reset.BEFORE)  # noqa: PLR2004 - either
        return Fault(delay)


class Quotas:
    """Amazon's default quotas in a region, one for each operation. Safe to share between threads.

    As many calls as a second allows may come at once; then they are allowed evenly.
    """

    def __init__(self, region: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._rates: dict[str, float] = {operation: default_quota(operation, region) for operation in QUOTAS}
        self._clock = clock
        self._free_at = dict.fromkeys(self._rates, 0.0)
        """When the operation's saved calls are complete again."""
        self._lock = Lock()

    def check(self, operation: str) -> None:
        """Raise AwsError for a call beyond the operation's quota. An operation without one is never refused."""
        if (rate := self._rates.get(operation)) is None:
            return
        with self._lock:
            now = self._clock()
            free_at = max(self._free_at[operation], now) + 1 / rate
            if free_at - now > 1 + _ROUNDING:
                raise AwsError(*_THROTTLING[0])
            self._free_at[operation] = free_at
