"""One recognizer behind the gateway, and the only way to call it."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import grpc
import structlog
from google.rpc import status_pb2
from prometheus_client import Counter
from structlog.contextvars import bind_contextvars

from marquee.v1 import enrollment_pb2
from marquee.v1 import recognizer_pb2 as pb
from services.gateway.backends import answer
from services.gateway.backends.connection import NO_CREDENTIALS, Connection, Credentials
from services.gateway.backends.models import Models, Told
from services.gateway.config import BackendConfig
from services.runtime import status
from services.runtime.doors.caller import RELAY_BUDGET_KEY, RELAY_KEY, current
from services.runtime.errors import (
    Forbidden,
    InvalidAnswer,
    Misconfigured,
    Overloaded,
    Shed,
    TooManyHops,
    Unauthenticated,
)
from services.runtime.limits import MAX_HOPS
from services.runtime.server.bulkhead import Bulkhead, priority
from services.runtime.server.calls import POLL_METADATA
from services.runtime.server.server import ENROLLMENT_SERVICE, RECOGNIZER_SERVICE
from services.runtime.server.tracing import Metadata, client_span

logger = structlog.get_logger()
_results = Counter(
    "marquee_backend_results",
    "Total results by outcome, failures by reason and fault; of calls other than RecognizeImage, only these.",
    ("recognizer", "outcome", "reason", "fault"),
)
HOPS_KEY = "marquee-hops"
"""Metadata key of the number of gateways that a call has passed through."""
_Code = grpc.StatusCode
_NETWORK = {
    _Code.UNAVAILABLE: ("RECOGNIZER_UNAVAILABLE", "does not answer."),
    _Code.DEADLINE_EXCEEDED: ("RECOGNIZER_TIMEOUT", "did not answer in time."),
}
_REFUSALS = frozenset(
    reason for error, (_, reason) in status.TABLE.items() if issubclass(error, (Unauthenticated, Forbidden))
)
"""What a recognizer says of who calls it, which is this gateway: its caller's credentials went no further."""
_REASONS = frozenset(
    {reason for _, reason in status.TABLE.values()}
    | {reason for reason, _ in _NETWORK.values()}
    | {"INTERNAL", "GATEWAY_REFUSED", "NO_RECOGNIZER_ANSWERED", status.FOREIGN}
)
"""Reasons that are shown in metrics; others come from anywhere."""
_BUSY_SECONDS = 5.0
"""Time after a caller's call in which the connection is left as it is: calls to who is away then fail at once."""
_ANSWERED = frozenset((pb.OUTCOME_OK, pb.OUTCOME_PARTIAL))


@dataclass(frozen=True)
class Method:
    """A method of the contract that the gateway passes on."""

    path: str
    response: type[Any]
    takes_place: bool = True
    """Whether it counts as a call in flight. Listing does not, so that a busy recognizer is still listed."""
    is_free: bool = False
    """Whether it costs nothing, even of a recognizer whose calls cost money."""
    changes_people: bool = False
    """Whether it changes whom a recognizer knows."""


RECOGNIZE_IMAGE = Method(f"/{RECOGNIZER_SERVICE}/RecognizeImage", pb.RecognizeImageResponse)
LIST_RECOGNIZERS = Method(
    f"/{RECOGNIZER_SERVICE}/ListRecognizers", pb.ListRecognizersResponse, takes_place=False, is_free=True
)
ENROLL_FACES = Method(f"/{ENROLLMENT_SERVICE}/EnrollFaces", enrollment_pb2.EnrollFacesResponse, changes_people=True)
REMOVE_FACES = Method(f"/{ENROLLMENT_SERVICE}/RemoveFaces", enrollment_pb2.RemoveFacesResponse, changes_people=True)
REMOVE_PERSON = Method(
    f"/{ENROLLMENT_SERVICE}/RemovePerson", enrollment_pb2.RemovePersonResponse, is_free=True, changes_people=True
)
LIST_PEOPLE = Method(f"/{ENROLLMENT_SERVICE}/ListPeople", enrollment_pb2.ListPeopleResponse, is_free=True)
LIST_FACES = Method(f"/{ENROLLMENT_SERVICE}/ListFaces", enrollment_pb2.ListFacesResponse, is_free=True)


class Result(Protocol):
    """The fields that the results of all methods share."""

    recognizer: str
    outcome: pb.Outcome.ValueType

    @property
    def status(self) -> status_pb2.Status:
        """OK, or why it failed."""


class Backend:
    """A connection to one recognizer."""

    def __init__(self, name: str, config: BackendConfig, credentials: Credentials = NO_CREDENTIALS) -> None:
        self.name = name
        self.config = config
        self.timeout = config.timeout
        self._bulkhead = Bulkhead(name, f"Calls to {name}", config.max_in_flight, Shed)
        self._last_call = -_BUSY_SECONDS
        self._connection = Connection(config, credentials)
        self.models = Models(self._listed)

    @property
    def told(self) -> Told:
        """What the recognizer has told of itself."""
        return self.models.told

    def watch(self) -> None:
        """Ask the recognizer for its models from now on."""
        self.models.watch()

    async def call(self, method: Method, request: bytes, timeout: float, hops: int) -> Any:
        """Return the response to a serialized request, its results named as this gateway names them.

        Never raise because of the recognizer: a failure is a response whose only result has the status.
        """
        why = self._unlimited(method)
        if why is not None:
            return self._failure(method, why)
        if not method.takes_place:
            return await self._ask(method, request, timeout, hops)
        try:
            with self._bulkhead.place():
                return await self._ask(method, request, timeout, hops)
        except Overloaded as exc:
            why = status.from_exception(exc, recognizer=self.name)
            return self._failure(method, why, pb.OUTCOME_SHED)

    @property
    def is_paid(self) -> bool:
        """Whether calls cost money, by the configuration or by what the recognizer tells."""
        return self.config.priced or self.models.told.is_paid

    def late(self, method: Method) -> Any:
        """Return the response of a call that took too long."""
        reason, words = _NETWORK[_Code.DEADLINE_EXCEEDED]
        why = status.make(_Code.DEADLINE_EXCEEDED, reason, f"{self.name} {words}", recognizer=self.name)
        return self._failure(method, why)

    async def _ask(self, method: Method, request: bytes, timeout: float, hops: int) -> Any:
        begin = self._last_call = time.monotonic()
        end = begin + timeout
        span, code = client_span(method.path, self.name), _Code.CANCELLED
        try:
            metadata = self._metadata(hops, span.metadata)
            data = await self._connection.send(method.path, request, timeout, metadata)
            code = _Code.OK
            return self._heard(await answer.read(method.response, data, self.name), begin)
        except grpc.aio.AioRpcError as exc:
            code = exc.code()
            return self._failure(method, await self._status(exc, end - time.monotonic()))
        except (InvalidAnswer, Overloaded) as exc:
            event = "invalid answer" if isinstance(exc, InvalidAnswer) else "no room for the answer"
            logger.warning(event, recognizer=self.name, error=exc.message)
            return self._failure(method, status.from_exception(exc, recognizer=self.name))
        except Exception:
            code = _Code.INTERNAL
            logger.exception("unforeseen", recognizer=self.name)
            message = f"{self.name} could not be called, or its answer not be read. The gateway's log has the details."
            return self._failure(method, status.make(_Code.INTERNAL, status.FOREIGN, message))
        finally:
            span.end(code)
            if method.changes_people:
                self.models.doubt()

    def _heard(self, response: Any, begin: float) -> Any:
        """Return the response to a call that began then; what it tells of its models is noted."""
        if isinstance(response, pb.RecognizeImageResponse):
            self.models.hear(response.results, begin)
        return response

    async def close(self) -> None:
        """Close the connection once its calls have ended."""
        self.models.close()
        await self._connection.close()

    async def _listed(self, timeout: float) -> pb.ListRecognizersResponse:
        """Return what the recognizer lists, for nobody. Raises AioRpcError, InvalidAnswer."""
        metadata = (*POLL_METADATA, (HOPS_KEY, "1"))
        try:
            data = await self._connection.send(LIST_RECOGNIZERS.path, b"", timeout, metadata)
        except grpc.aio.AioRpcError:
            if time.monotonic() > self._last_call + _BUSY_SECONDS:
                self._connection.reopen()  # the next caller's call must not wait because this one failed
            raise
        listed: pb.ListRecognizersResponse = await answer.read(LIST_RECOGNIZERS.response, data, self.name)
        return listed

    def _metadata(self, hops: int, trace: Metadata) -> Iterable[tuple[str, str | bytes]]:
        """Return what a call says of itself: how far it has come, and for whom, to a recognizer that believes it."""
        caller, common = current(), _common_metadata(hops, priority())
        is_shown = self._connection.shows_gateway and not caller.is_anonymous
        if not (is_shown or trace):
            return common
        relay = [(RELAY_KEY, caller.name)] if is_shown else []
        if is_shown and caller.daily_micro_usd is not None:
            relay.append((RELAY_BUDGET_KEY, str(caller.daily_micro_usd)))
        return (*common, *relay, *trace)

    def _unlimited(self, method: Method) -> status_pb2.Status | None:
        """Return why not to call, if the caller's limit a day would limit nothing; None if it would, or there is none.

        Recognizers keep the limits, and believe those of a gateway that they know.
        """
        caller = current()
        is_kept = method.is_free or not self.config.priced or self._connection.shows_gateway
        if is_kept or caller.daily_micro_usd is None:
            return None
        logger.error("a caller's limit would not be kept", recognizer=self.name)
        message = (
            f"{self.name} costs money: set tls with cert and key, or token_file, for it in the gateway's file. "
            f"It is not shown who the gateway is, so it would not believe what {caller.name} may spend a day."
        )
        return status.from_exception(Misconfigured(message), recognizer=self.name)

    def _failure(self, method: Method, why: status_pb2.Status, outcome: pb.Outcome.ValueType = pb.OUTCOME_ERROR) -> Any:
        if status.code_of(why) is _Code.DEADLINE_EXCEEDED:
            outcome = pb.OUTCOME_TIMEOUT
        response = method.response()
        answer.fail(answer.entries_of(response).add(), self.name, why, outcome)
        return response

    async def _status(self, error: grpc.aio.AioRpcError, seconds: float) -> status_pb2.Status:
        """Return the recognizer's own status; what gRPC says about the network is logged, not returned.

        That a recognizer refuses this gateway is the operator's mistake, not the caller's: it gets a status of its own.
        """
        original = status.from_rpc_error(error)
        code, reason = status.code_of(original), status.reason_of(original)
        if reason in _REFUSALS or (code is _Code.UNAUTHENTICATED and not original.details):
            logger.error("recognizer refuses this gateway", recognizer=self.name, reason=reason, error=original.message)
            message = f"{self.name} refuses this gateway: {reason or code.name}."
            return status.make(_Code.FAILED_PRECONDITION, "GATEWAY_REFUSED", message, recognizer=self.name)
        if original.details:
            return original
        diagnosis = await self._connection.diagnose(original.message, seconds)
        if code is _Code.CANCELLED:  # not by this gateway: the server stopped before it handled the call
            code = _Code.UNAVAILABLE
        if code is not _Code.UNIMPLEMENTED:  # recognizers that do not enroll answer so
            facts = {"diagnosis": diagnosis} if diagnosis else {}
            logger.warning("recognizer failed", recognizer=self.name, code=code.name, error=original.message, **facts)
        reason, words = _NETWORK.get(code, (status.FOREIGN, f"failed: {original.message}"))
        if diagnosis:
            words = f"cannot be called: {diagnosis}."
        return status.make(code, reason, f"{self.name} {words}", recognizer=self.name)


@cache
def _common_metadata(hops: int, priority: Metadata) -> Iterable[tuple[str, str | bytes]]:
    """Return the metadata that calls share, as gRPC takes them: of a tuple it would make as much for each call."""
    return grpc.aio.Metadata((HOPS_KEY, str(hops)), *priority)


def hops_of(metadata: Iterable[tuple[str, Any]]) -> int:
    """Return the number of gateways that a call has passed through, this one included. Raises TooManyHops."""
    values = [str(value) for key, value in metadata if key == HOPS_KEY]
    numbers = [value.lstrip("0") or "0" for value in values if value.isdecimal()]
    hops = 1 + max((int(number[:3]) for number in numbers), default=0)
    if hops > MAX_HOPS:
        raise TooManyHops(f"The call passed through more than {MAX_HOPS} gateways. Do they call each other in a loop?")
    return hops


def count(recognizer: str, outcome: pb.Outcome.ValueType, why: status_pb2.Status) -> None:
    """Count a result. Of calls other than RecognizeImage only failures count: successes would hide that it fails."""
    reason = fault = ""
    if outcome not in answer.SUCCESSES:
        known = status.reason_of(why)
        reason, fault = known if known in _REASONS else "other", status.fault_of(why)
    _counter(recognizer.partition("/")[0], outcome_name(outcome), reason, fault).inc()


@cache
def _counter(*labels: str) -> Counter:
    return _results.labels(*labels)


def bind_outcomes(results: Sequence[Result]) -> None:
    """Log the outcome of each."""
    bind_contextvars(outcomes={result.recognizer: outcome_name(result.outcome) for result in results})


def check_answered(results: Sequence[Result], request_id: str = "") -> None:
    """Raise StatusError if recognizers failed and none answered.

    The code is theirs if all failed alike, so that a bad picture is INVALID_ARGUMENT, else UNAVAILABLE. The details
    hold each recognizer's status, with its name before its message.
    """
    if any(result.outcome in _ANSWERED for result in results):
        return
    failures = {result.recognizer: result.status for result in results if result.outcome != pb.OUTCOME_SKIPPED}
    if not failures:
        return
    default = (_Code.UNAVAILABLE, "NO_RECOGNIZER_ANSWERED")
    metadata: dict[str, Any] = {"request_id": request_id} if request_id else {}
    raise status.StatusError(status.join(failures, "No recognizer answered.", default, **metadata))


@cache
def outcome_name(outcome: pb.Outcome.ValueType) -> str:
    """Return the outcome as metrics and logs show it: "ok", "timeout"."""
    return pb.Outcome.Name(outcome).removeprefix("OUTCOME_").lower()
