"""Injected faults: throttling, errors, lost connections and latency, drawn at given rates from a seed."""

from dataclasses import dataclass
from enum import Enum, auto
from random import Random
from threading import Lock

from local.rekognition.wire.errors import AwsError

_THROTTLING = (
    ("ProvisionedThroughputExceededException", "Provisioned rate exceeded"),
    ("ThrottlingException", "Rate exceeded"),
)


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
