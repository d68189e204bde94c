"""Trouble on purpose: throttling, errors, lost connections and slowness, drawn by rate from a seed."""

from dataclasses import dataclass
from enum import Enum, auto
from random import Random
from threading import Lock

from local.rekognition.wire.errors import AwsError

_THROTTLED = (
    ("ProvisionedThroughputExceededException", "Provisioned rate exceeded"),
    ("ThrottlingException", "Rate exceeded"),
)


class Reset(Enum):
    """When the connection is lost."""

    BEFORE = auto()
    """The request is not done."""
    AFTER = auto()
    """The request is done and billed, and its answer is lost."""


@dataclass(frozen=True)
class Rates:
    """Shares of all requests, 0 to 1; a request meets one fault at most, and may be slow besides."""

    throttle: float = 0.0
    error: float = 0.0
    reset: float = 0.0
    latency: float = 1.0
    latency_seconds: float = 0.0

    def __post_init__(self) -> None:
        if min(self.throttle, self.error, self.reset) < 0 or self.throttle + self.error + self.reset > 1:
            raise ValueError("The rates of throttling, errors and resets are 0 and more, and at most 1 together.")


@dataclass(frozen=True)
class Fate:
    """What a request meets."""

    seconds: float = 0.0
    """How much later it is looked at."""
    refusal: AwsError | None = None
    reset: Reset | None = None


class Faults:
    """The fates of requests in the order of their coming. Safe to share between threads."""

    def __init__(self, rates: Rates | None = None, seed: int = 0) -> None:
        self._rates = rates or Rates()
        self._random = Random(seed)  # noqa: S311 - the same every time is what a seed is for
        self._lock = Lock()

    def next(self) -> Fate:
        """The next request's."""
        with self._lock:  # three draws a request, whatever it meets: a seed's fates do not depend on rates
            fault, slow, which = (self._random.random() for _ in range(3))
        rates = self._rates
        seconds = rates.latency_seconds if slow < rates.latency else 0.0
        if fault < rates.throttle:
            return Fate(seconds, refusal=AwsError(*_THROTTLED[which < 0.5]))  # noqa: PLR2004 - either
        if fault < rates.throttle + rates.error:
            return Fate(seconds, refusal=AwsError("InternalServerError", "Internal server error", 500))
        if fault < rates.throttle + rates.error + rates.reset:
            return Fate(seconds, reset=Reset.AFTER if which < 0.5 else Reset.BEFORE)  # noqa: PLR2004 - either
        return Fate(seconds)
