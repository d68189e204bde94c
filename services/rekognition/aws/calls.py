"""One call to Rekognition: within the account's rate and the day's budget, and tried again where that helps."""

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError
from prometheus_client import Counter
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, stop_before_delay, wait_random_exponential

from services.rekognition.aws import errors as aws_errors
from services.rekognition.budget.ledger import Ledger, Reservation
from services.rekognition.budget.prices import FEATURES, MICRO_USD, Api
from services.rekognition.budget.rates import Rates
from services.rekognition.settings import RekognitionSettings
from services.runtime.errors import DependencyUnavailable, OutOfTime, Throttled
from services.runtime.workers import Workers

if TYPE_CHECKING:
    from mypy_boto3_rekognition import RekognitionClient

_cost = Counter("marquee_rekognition_cost_dollars", "US dollars that Rekognition has, or may have, billed.", ("api",))
_calls = Counter("marquee_rekognition_calls", "Calls to Rekognition, each attempt one.", ("api", "outcome"))
_TOO_LATE = "The call's deadline passed before Rekognition was asked."
_deadline: ContextVar[float] = ContextVar("deadline")
_WAIT = wait_random_exponential(multiplier=0.1, max=2)


class Tab:
    """What one request runs up: money, and the longest wait for a thread. Safe to share between threads."""

    def __init__(self) -> None:
        self.micro_usd = 0
        self.queue_seconds = 0.0
        self._lock = threading.Lock()

    def add(self, micro_usd: int) -> None:
        """Counts money as spent; less than 0: given back."""
        with self._lock:
            self.micro_usd += micro_usd

    def waited(self, seconds: float) -> None:
        """Counts a wait."""
        self.queue_seconds = max(self.queue_seconds, seconds)


class Calls:
    """Rekognition's operations, as often and as expensive as the operator allows.

    A call whose caller has gone runs to its end in its thread: only then is known whether it is billed.
    """

    def __init__(
        self, client: "RekognitionClient", settings: RekognitionSettings, ledger: Ledger, rates: Rates
    ) -> None:
        self.region = client.meta.region_name
        self.api_version = client.meta.service_model.api_version
        self._client = client
        client.meta.events.register("before-send.rekognition", _before_send)
        self._prices: Mapping[Api, int] = {**MICRO_USD, **settings.rekognition_prices}
        self._attempts = settings.rekognition_attempts
        self._ledger = ledger
        self._rates = rates
        self._workers = Workers(settings.rekognition_calls, settings.queue * len(FEATURES))

    async def call(self, api: Api, tab: Tab, deadline: float, **parameters: Any) -> Mapping[str, Any]:
        """The operation's answer; `deadline` is on time.monotonic()'s clock, and nothing is tried after it.

        Raises botocore's errors, OutOfTime, Throttled, BudgetExhausted, Overloaded, DependencyUnavailable.
        """
        retrying = AsyncRetrying(
            retry=retry_if_exception(_passes),
            wait=_WAIT,
            stop=stop_after_attempt(self._attempts) | stop_before_delay(deadline - time.monotonic()),
            reraise=True,
        )
        return await retrying(self._attempt, api, tab, deadline, parameters)

    def close(self) -> None:
        """Lets running calls end and starts no further one."""
        self._workers.close()
        self._client.close()

    async def _attempt(self, api: Api, tab: Tab, deadline: float, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        await asyncio.sleep(self._token(api, deadline - time.monotonic()))
        answer, waited = await self._workers.run(self._pay_and_ask, api, tab, deadline, parameters)
        tab.waited(waited)
        return answer

    def _token(self, api: Api, left: float) -> float:
        if left <= 0:
            raise OutOfTime(_TOO_LATE)
        try:
            return self._rates.take(api, left)
        except Throttled:
            _calls.labels(api, "held_back").inc()
            raise

    def _pay_and_ask(self, api: Api, tab: Tab, deadline: float, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        _check_time(deadline)
        _deadline.set(deadline)
        with self._paid(api, tab) if self._prices[api] else _counted(api):
            answer: Mapping[str, Any] = getattr(self._client, xform_name(api))(**parameters)
        return answer

    @contextmanager
    def _paid(self, api: Api, tab: Tab) -> Iterator[None]:
        """Pays for a call beforehand; the money comes back where AWS surely does not bill it."""
        reservation = self._ledger.reserve(self._prices[api])
        tab.add(reservation.micro_usd)
        billed = True
        try:
            with _counted(api):
                yield
        except OutOfTime:
            billed = False
            raise
        except (BotoCoreError, ClientError) as exc:
            billed = not aws_errors.is_surely_not_billed(exc)
            raise
        finally:
            self._settle(api, tab, reservation, billed=billed)

    def _settle(self, api: Api, tab: Tab, reservation: Reservation, *, billed: bool) -> None:
        if billed:
            _cost.labels(api).inc(reservation.micro_usd / 1e6)
        else:
            tab.add(-reservation.micro_usd)
            self._ledger.give_back(reservation)


@contextmanager
def _counted(api: Api) -> Iterator[None]:
    """Counts what becomes of a call, unless it was too late to be sent."""
    try:
        yield
    except (BotoCoreError, ClientError) as exc:
        _calls.labels(api, _outcome(exc)).inc()
        raise
    _calls.labels(api, "ok").inc()


def _passes(exc: BaseException) -> bool:
    return aws_errors.passes(exc) or isinstance(exc, DependencyUnavailable)  # the latter: of the ledger's table


def _check_time(deadline: float) -> None:
    if time.monotonic() >= deadline:
        raise OutOfTime(_TOO_LATE)


def _before_send(**_: Any) -> None:
    """Botocore's last word before a request leaves: paying and signing may have taken what time was left."""
    _check_time(_deadline.get())


def _outcome(exc: BotoCoreError | ClientError) -> str:
    if aws_errors.is_throttling(exc):
        return "throttled"
    return "refused" if aws_errors.is_surely_not_billed(exc) and isinstance(exc, ClientError) else "failed"
