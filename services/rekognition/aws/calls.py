"""Calls to Rekognition: within the account's quotas and the day's budget, and retried if that helps."""

import asyncio
import math
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import boto3
import pybase64
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError
from prometheus_client import Counter
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, stop_before_delay, wait_random_exponential

from services.rekognition.aws.errors import is_surely_not_billed, is_throttling, is_transient
from services.rekognition.aws.session import open_client
from services.rekognition.budget.ledger import Ledger, Reservation
from services.rekognition.budget.prices import FEATURES, GROUPS, Api, PriceList
from services.rekognition.budget.quotas import default_quota
from services.rekognition.settings import RekognitionSettings
from services.runtime.errors import DependencyUnavailable, OutOfTime, Throttled
from services.runtime.storage.failures import ERRORS
from services.runtime.workers import Workers

if TYPE_CHECKING:
    from mypy_boto3_rekognition import RekognitionClient

_cost = Counter(
    "marquee_rekognition_cost_dollars", "Total US dollars that Rekognition billed or may have billed.", ("api",)
)
_calls = Counter("marquee_rekognition_calls", "Total attempts to call Rekognition, by outcome.", ("api", "outcome"))
_TOO_LATE = "The call's deadline passed before Rekognition was called."
_WAIT = wait_random_exponential(multiplier=0.1, max=2)
_BURST_SECONDS = 0.1
"""Tokens that an idle bucket saves: AWS counts by the second, so a full bucket lets at most 1.1 quotas pass in one."""
_CONTENT = "marquee_image"
_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)


def connect(settings: RekognitionSettings) -> "RekognitionClient":
    """Return a client with region and credentials of the standard chain, safe to share between threads.

    Raises what `open_client` raises. Blocks, and calls nothing that is billed.
    """
    config = Config(
        connect_timeout=settings.rekognition_connect_timeout_seconds,
        read_timeout=settings.rekognition_read_timeout_seconds,
        max_pool_connections=settings.rekognition_calls,
        retries={"total_max_attempts": 1},  # botocore's own retries sleep past deadlines and are billed unseen
        parameter_validation=False,  # it would miss the picture; AWS refuses bad parameters unbilled
        user_agent=f"Boto3/{boto3.__version__} marquee",  # botocore would build one twice per call
    )
    client: RekognitionClient = open_client(settings, "rekognition", settings.rekognition_endpoint_url, config)
    events = client.meta.events  # see https://docs.aws.amazon.com/boto3/latest/guide/events.html
    events.register("provide-client-params.rekognition", _take_picture_out)
    events.register("before-call.rekognition", _put_picture_in)
    events.register("before-send.rekognition", _check_time_left)
    return client


class Usage:
    """What one request uses: money, and the longest wait for a thread. Safe to share between threads."""

    def __init__(self, whole: "Usage | None" = None) -> None:
        """Start from nothing; what is used counts for `whole`, too."""
        self.micro_usd = 0
        self.queue_seconds = 0.0
        self._whole = whole
        self._lock = threading.Lock()

    def spend(self, micro_usd: int) -> None:
        """Count money as spent; a negative amount is a refund."""
        with self._lock:
            self.micro_usd += micro_usd
        if self._whole is not None:
            self._whole.spend(micro_usd)

    def wait(self, seconds: float) -> None:
        """Count a wait."""
        self.queue_seconds = max(self.queue_seconds, seconds)
        if self._whole is not None:
            self._whole.wait(seconds)


class TokenBucket:
    """Token bucket of `rate` calls a second, spread evenly, first come first served. For one event loop."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._next = 0.0

    def take(self, max_wait: float) -> float:
        """Take the next token; return the seconds until it may be used.

        Raises Throttled, and takes none, if that is more than `max_wait` seconds.
        """
        now = time.monotonic()
        burst = max(0.0, _BURST_SECONDS - 1 / self.rate)
        at = max(self._next, now - burst)
        wait = max(0.0, at - now)
        if wait > max_wait:
            raise Throttled(
                f"Rekognition's quota of {self.rate:g} calls a second is used up until after the call's deadline. "
                "Try again later, or ask AWS for a higher quota.",
                retry_after=wait,
            )
        self._next = at + 1 / self.rate
        return wait


class Rates:
    """AWS's quotas, a bucket for each operation, shared equally by the replicas."""

    def __init__(
        self, quota: float | None, overrides: Mapping[Api, float], replicas: int = 1, region: str = ""
    ) -> None:
        """Use the operation's override, or else the quota, or else AWS's default in the region."""
        self._quotas = {api: overrides.get(api) or quota or default_quota(api, region) for api in GROUPS}
        self._buckets = {api: TokenBucket(rate) for api, rate in self._quotas.items()}
        self.share(replicas)

    def share(self, replicas: int) -> None:
        """Limit this replica to its part of every quota."""
        for api, bucket in self._buckets.items():
            bucket.rate = self._quotas[api] / max(1, replicas)

    def take(self, api: Api, max_wait: float) -> float:
        """Return the seconds until the operation may be called. Raises Throttled; see TokenBucket.take."""
        return self._buckets[api].take(max_wait)


class Calls:
    """Rekognition's operations, within the operator's quotas and budget.

    A call whose caller has gone runs to its end in its thread: only then is it known whether AWS bills it.
    """

    def __init__(
        self, client: "RekognitionClient", settings: RekognitionSettings, ledger: Ledger, rates: Rates
    ) -> None:
        self.region = client.meta.region_name
        self.api_version = client.meta.service_model.api_version
        self._client = client
        self.endpoint_url = client.meta.endpoint_url
        self.prices = PriceList(settings.rekognition_prices)
        self._attempts = settings.rekognition_attempts
        self._ledger = ledger
        self._rates = rates
        self._workers = Workers(settings.rekognition_calls, settings.queue * len(FEATURES))

    async def call(self, api: Api, usage: Usage, deadline: float, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the operation's response; `deadline` is on time.monotonic()'s clock, and nothing is tried after it.

        Raises botocore's errors, OutOfTime, Throttled, BudgetExhausted, Overloaded, DependencyUnavailable.
        """
        retrying = AsyncRetrying(
            retry=retry_if_exception(_is_retriable),
            wait=_WAIT,
            stop=stop_after_attempt(self._attempts) | stop_before_delay(deadline - time.monotonic()),
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                await asyncio.sleep(self._token(api, deadline - time.monotonic()))
                response, waited = await self._workers.run(self._send, api, usage, deadline, parameters)
                usage.wait(waited)
        return response

    def check_budget(self, *apis: Api) -> None:
        """Raise BudgetExhausted if today's budgets cannot pay for all of these: the first would be paid in vain."""
        self._ledger.check(sum(self._price(api) for api in apis))

    def close(self) -> None:
        """Let running calls end and start no more."""
        self._workers.close()
        self._client.close()

    def _token(self, api: Api, seconds: float) -> float:
        if seconds <= 0:
            raise OutOfTime(_TOO_LATE)
        try:
            return self._rates.take(api, seconds)
        except Throttled:
            _calls.labels(api, "held_back").inc()
            raise

    def _send(self, api: Api, usage: Usage, deadline: float, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make one attempt, in a worker thread."""
        _check_time(deadline)
        _deadline.set(deadline)
        with self._paid(api, usage):
            response: Mapping[str, Any] = getattr(self._client, xform_name(api))(**parameters)
        return response

    @contextmanager
    def _paid(self, api: Api, usage: Usage) -> Iterator[None]:
        """Pay for a call in advance, count how it ends, and take the money back if AWS surely does not bill it."""
        reservation = self._reserve(api, usage)
        billed = True
        try:
            yield
            _calls.labels(api, "ok").inc()
            self._count(api, reservation)
        except OutOfTime:  # it was never sent, so it counts as no call
            billed = False
            raise
        except ERRORS as exc:
            billed = not is_surely_not_billed(exc)
            _calls.labels(api, _outcome(exc)).inc()
            raise
        finally:
            if reservation is not None:
                self._settle(api, usage, reservation, billed=billed)

    def _reserve(self, api: Api, usage: Usage) -> Reservation | None:
        """Reserve the price; None for a free operation."""
        if not (price := self._price(api)):
            return None
        reservation = self._ledger.reserve(price)
        usage.spend(reservation.micro_usd)
        return reservation

    def _price(self, api: Api) -> int:
        return self.prices.micro_usd(api, self._ledger.month_calls())

    def _count(self, api: Api, reservation: Reservation | None) -> None:
        """Count a call that AWS surely billed, so that its group's next tier is reached."""
        group = GROUPS[api]
        if reservation is not None and group is not None:
            self._ledger.count(reservation.day, group)

    def _settle(self, api: Api, usage: Usage, reservation: Reservation, *, billed: bool) -> None:
        if billed:
            _cost.labels(api).inc(reservation.micro_usd / 1e6)
        else:
            usage.spend(-reservation.micro_usd)
            self._ledger.give_back(reservation)


def _is_retriable(exc: BaseException) -> bool:
    return is_transient(exc) or isinstance(exc, DependencyUnavailable)  # the latter: the ledger's table


def _outcome(exc: Exception) -> str:
    if is_throttling(exc):
        return "throttled"
    return "refused" if is_surely_not_billed(exc) and isinstance(exc, ClientError) else "failed"


def _check_time(deadline: float) -> None:
    if time.monotonic() >= deadline:
        raise OutOfTime(_TOO_LATE)


def _check_time_left(**_: Any) -> None:
    """Stop a request at botocore's last event before it leaves: paying and signing may have taken the time left."""
    _check_time(_deadline.get())


def _take_picture_out(params: dict[str, Any], context: dict[str, Any], **_: Any) -> Any:
    """Return the parameters without the picture's bytes; None leaves them as they are.

    The picture goes around botocore's JSON encoder, which looks at every character of its base64 though none needs
    escaping: 0.7 of the 2.6 ms of CPU time that a call with 170 KB takes.
    """
    content = params.get("Image", {}).get("Bytes")
    if content is None:
        return None
    context[_CONTENT] = content
    return {name: value for name, value in params.items() if name != "Image"}


def _put_picture_in(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    content = context.pop(_CONTENT, None)
    if content is not None:
        rest = b"}" if params["body"] == b"{}" else b", " + params["body"][1:]
        params["body"] = b"".join((b'{"Image": {"Bytes": "', pybase64.b64encode(content), b'"}', rest))
