"""One recognizer behind the gateway, and the only way to call it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import structlog
from google.rpc import status_pb2
from prometheus_client import Counter
from structlog.contextvars import bind_contextvars

from marquee.v1 import enrollment_pb2
from marquee.v1 import recognizer_pb2 as pb
from services.gateway import answer
from services.gateway.config import BackendConfig
from services.runtime import status
from services.runtime.errors import InvalidAnswer, Overloaded, TooManyHops
from services.runtime.limits import MAX_HOPS, MAX_MESSAGE_BYTES
from services.runtime.server.calls import Context
from services.runtime.server.server import ENROLLMENT_SERVICE, RECOGNIZER_SERVICE

logger = structlog.get_logger()
_results = Counter(
    "marquee_backend_results",
    "Total results by recognizer and outcome; of calls other than RecognizeImage, failures only.",
    ("recognizer", "outcome"),
)
HOPS_KEY = "marquee-hops"
"""Metadata key of the number of gateways that a call has passed through."""
_Code = grpc.StatusCode
_NETWORK = {
    _Code.UNAVAILABLE: ("RECOGNIZER_UNAVAILABLE", "does not answer."),
    _Code.DEADLINE_EXCEEDED: ("RECOGNIZER_TIMEOUT", "did not answer in time."),
}
_ANSWERED = frozenset((pb.OUTCOME_OK, pb.OUTCOME_PARTIAL))
_MAX_STATUS_METADATA_BYTES = 64 * 1024


@dataclass(frozen=True)
class Method:
    """A method of the contract that the gateway passes on."""

    path: str
    response: type[Any]
    places: int = 1
    """In-flight calls it counts as. Listing counts as none, so that a busy recognizer is still listed."""


RECOGNIZE_IMAGE = Method(f"/{RECOGNIZER_SERVICE}/RecognizeImage", pb.RecognizeImageResponse)
LIST_RECOGNIZERS = Method(f"/{RECOGNIZER_SERVICE}/ListRecognizers", pb.ListRecognizersResponse, places=0)
ENROLL_FACES = Method(f"/{ENROLLMENT_SERVICE}/EnrollFaces", enrollment_pb2.EnrollFacesResponse)
REMOVE_FACES = Method(f"/{ENROLLMENT_SERVICE}/RemoveFaces", enrollment_pb2.RemoveFacesResponse)
REMOVE_PERSON = Method(f"/{ENROLLMENT_SERVICE}/RemovePerson", enrollment_pb2.RemovePersonResponse)
LIST_PEOPLE = Method(f"/{ENROLLMENT_SERVICE}/ListPeople", enrollment_pb2.ListPeopleResponse)
LIST_FACES = Method(f"/{ENROLLMENT_SERVICE}/ListFaces", enrollment_pb2.ListFacesResponse)
_METHODS = (RECOGNIZE_IMAGE, LIST_RECOGNIZERS, ENROLL_FACES, REMOVE_FACES, REMOVE_PERSON, LIST_PEOPLE, LIST_FACES)


class Result(Protocol):
    """The fields that the results of all methods share."""

    recognizer: str
    outcome: pb.Outcome.ValueType

    @property
    def status(self) -> status_pb2.Status:
        """OK, or why it failed."""


class Backend:
    """A channel to one recognizer."""

    def __init__(self, name: str, config: BackendConfig) -> None:
        self.name = name
        self.timeout = config.timeout
        self._max_in_flight = config.max_in_flight
        self._in_flight = 0
        self._channel = grpc.aio.insecure_channel(config.target, options=_options(config))
        # Without a deserializer: gRPC turns an answer that does not parse into None.
        self._stubs: dict[Method, Any] = {method: self._channel.unary_unary(method.path) for method in _METHODS}

    async def call(self, method: Method, request: bytes, timeout: float, hops: int) -> Any:
        """Return the response to a serialized request, its results named as this gateway names them.

        Never raise because of the recognizer: a failure is a response whose only result has the status.
        """
        if self._in_flight + method.places > self._max_in_flight:
            message = f"Calls to {self.name} in flight: {self._max_in_flight}, the limit. Try again later."
            return self._failure(method, status.make(_Code.RESOURCE_EXHAUSTED, "SHED", message), pb.OUTCOME_SHED)
        self._in_flight += method.places
        try:
            data = await self._stubs[method](request, timeout=timeout, metadata=((HOPS_KEY, str(hops)),))
            return await answer.read(method.response, data, self.name)
        except grpc.aio.AioRpcError as exc:
            return self._failure(method, self._status(exc))
        except (InvalidAnswer, Overloaded) as exc:
            event = "invalid answer" if isinstance(exc, InvalidAnswer) else "no room for the answer"
            logger.warning(event, recognizer=self.name, error=exc.message)
            return self._failure(method, status.from_exception(exc, recognizer=self.name))
        except Exception:
            logger.exception("unforeseen", recognizer=self.name)
            message = f"{self.name} could not be called, or its answer not be read. The gateway's log has the details."
            return self._failure(method, status.make(_Code.INTERNAL, "RECOGNIZER_FAILED", message))
        finally:
            self._in_flight -= method.places

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    def _failure(self, method: Method, why: status_pb2.Status, outcome: pb.Outcome.ValueType = pb.OUTCOME_ERROR) -> Any:
        if status.code_of(why) is _Code.DEADLINE_EXCEEDED:
            outcome = pb.OUTCOME_TIMEOUT
        response = method.response()
        answer.fail(answer.entries_of(response).add(), self.name, why, outcome)
        return response

    def _status(self, error: grpc.aio.AioRpcError) -> status_pb2.Status:
        """Return the recognizer's own status; what gRPC says about the network is logged, not returned."""
        original = status.from_rpc_error(error)
        if original.details:
            return original
        code = status.code_of(original)
        if code is _Code.CANCELLED:  # not by this gateway: the server stopped before it handled the call
            code = _Code.UNAVAILABLE
        if code is not _Code.UNIMPLEMENTED:  # recognizers that do not enroll answer so
            logger.warning("recognizer failed", recognizer=self.name, code=code.name, error=original.message)
        reason, words = _NETWORK.get(code, ("RECOGNIZER_FAILED", f"failed: {original.message}"))
        return status.make(code, reason, f"{self.name} {words}", recognizer=self.name)


def hops_of(context: Context) -> int:
    """Return the number of gateways that the call has passed through, this one included. Raises TooManyHops."""
    values = [str(value) for key, value in context.invocation_metadata() or () if key == HOPS_KEY]
    numbers = [value.lstrip("0") or "0" for value in values if value.isdecimal()]
    hops = 1 + max((int(number[:3]) for number in numbers), default=0)
    if hops > MAX_HOPS:
        raise TooManyHops(f"The call passed through more than {MAX_HOPS} gateways. Do they call each other in a loop?")
    return hops


def count(recognizer: str, outcome: pb.Outcome.ValueType) -> None:
    """Count a result. Of calls other than RecognizeImage only failures count: successes would hide that it fails."""
    _results.labels(recognizer.partition("/")[0], outcome_name(outcome)).inc()


def check_answered(results: Sequence[Result], request_id: str = "") -> None:
    """Raise StatusError if recognizers failed and none answered; log all outcomes.

    The code is theirs if all failed alike, so that a bad picture is INVALID_ARGUMENT, else UNAVAILABLE. The details
    hold each recognizer's status, with its name before its message.
    """
    bind_contextvars(outcomes={result.recognizer: outcome_name(result.outcome) for result in results})
    failures = {result.recognizer: result.status for result in results if result.outcome != pb.OUTCOME_SKIPPED}
    if not failures or any(result.outcome in _ANSWERED for result in results):
        return
    default = (_Code.UNAVAILABLE, "NO_RECOGNIZER_ANSWERED")
    metadata = {"request_id": request_id} if request_id else {}
    raise status.StatusError(status.join(failures, "No recognizer answered.", default, **metadata))


def outcome_name(outcome: pb.Outcome.ValueType) -> str:
    """Return the outcome as metrics and logs show it: "ok", "timeout"."""
    return pb.Outcome.Name(outcome).removeprefix("OUTCOME_").lower()


def _options(config: BackendConfig) -> list[tuple[str, int | str]]:
    return [
        ("grpc.service_config", json.dumps(_service_config(config))),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        # A recognizer may tell more of its failure than the 8 KiB that this gateway passes on.
        ("grpc.max_metadata_size", _MAX_STATUS_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", _MAX_STATUS_METADATA_BYTES),
        # Recognizers are the operator's: an address in http_proxy is for the way out.
        ("grpc.enable_http_proxy", 0),
        # A recognizer that comes back, or a new replica, is used within 2 s.
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.min_reconnect_backoff_ms", 1000),
        ("grpc.max_reconnect_backoff_ms", 2000),
        ("grpc.dns_min_time_between_resolutions_ms", 2000),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 5_000),
    ]


def _service_config(config: BackendConfig) -> dict[str, Any]:
    retry = {
        "maxAttempts": 2,
        "initialBackoff": "0.05s",
        "maxBackoff": "0.5s",
        "backoffMultiplier": 2,
        # gRPC answers CANCELLED to a call that reaches a server while it stops.
        "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
    }
    method = {"name": [{"service": RECOGNIZER_SERVICE}]}
    return {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [method if config.priced else method | {"retryPolicy": retry}],
    }
