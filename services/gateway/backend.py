"""One recognizer behind the gateway, and the only way to call it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import structlog
from google.rpc import status_pb2
from structlog.contextvars import bind_contextvars

from marquee.v1 import enrollment_pb2
from marquee.v1 import recognizer_pb2 as pb
from services.gateway.config import BackendConfig
from services.runtime import status
from services.runtime.errors import TooManyHops
from services.runtime.limits import MAX_HOPS, MAX_MESSAGE_BYTES
from services.runtime.server.calls import Context
from services.runtime.server.server import ENROLLMENT_SERVICE, RECOGNIZER_SERVICE

logger = structlog.get_logger()
HOPS_KEY = "marquee-hops"
"""Metadata key of the number of gateways that a call has passed through."""
_Code = grpc.StatusCode
_REASONS = {_Code.UNAVAILABLE: "RECOGNIZER_UNAVAILABLE", _Code.DEADLINE_EXCEEDED: "RECOGNIZER_TIMEOUT"}
_MESSAGES = {_Code.UNAVAILABLE: "{} does not answer.", _Code.DEADLINE_EXCEEDED: "{} did not answer in time."}
_ANSWERED = frozenset((pb.OUTCOME_OK, pb.OUTCOME_PARTIAL))


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
REMOVE_PERSON = Method(f"/{ENROLLMENT_SERVICE}/RemovePerson", enrollment_pb2.RemovePersonResponse)
LIST_PEOPLE = Method(f"/{ENROLLMENT_SERVICE}/ListPeople", enrollment_pb2.ListPeopleResponse)
_METHODS = (RECOGNIZE_IMAGE, LIST_RECOGNIZERS, ENROLL_FACES, REMOVE_PERSON, LIST_PEOPLE)


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
        self._stubs: dict[Method, Any] = {
            method: self._channel.unary_unary(method.path, response_deserializer=method.response.FromString)
            for method in _METHODS
        }

    async def call(self, method: Method, request: bytes, timeout: float, hops: int) -> Any:
        """Return the response to a serialized request, its results named as this gateway names them.

        Never raise because of the recognizer: a failure is a response whose only result has the status.
        """
        if self._in_flight + method.places > self._max_in_flight:
            message = f"{self.name} already has {self._max_in_flight} calls in flight, its limit. Try again later."
            return self._failure(method, status.make(_Code.RESOURCE_EXHAUSTED, "SHED", message), pb.OUTCOME_SHED)
        self._in_flight += method.places
        try:
            response = await self._stubs[method](request, timeout=timeout, metadata=((HOPS_KEY, str(hops)),))
        except grpc.aio.AioRpcError as exc:
            return self._failure(method, self._status(exc))
        finally:
            self._in_flight -= method.places
        return self._named(method, response)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    def _named(self, method: Method, response: Any) -> Any:
        entries = response and (response.recognizers if method is LIST_RECOGNIZERS else response.results)
        if not entries:  # grpc.aio turns an undecodable response into None
            message = f"{self.name} returned no result."
            return self._failure(method, status.make(_Code.INTERNAL, "RECOGNIZER_FAILED", message))
        for entry in entries:
            if method is LIST_RECOGNIZERS:
                entry.name = self._name(entry.name, response.gateway)
            else:
                entry.recognizer = self._name(entry.recognizer, response.gateway)
        return response

    def _name(self, inner: str, gateway: str) -> str:
        return f"{self.name}/{inner}" if gateway else self.name

    def _failure(self, method: Method, why: status_pb2.Status, outcome: pb.Outcome.ValueType = pb.OUTCOME_ERROR) -> Any:
        response = method.response()
        if method is LIST_RECOGNIZERS:
            response.recognizers.add(name=self.name, state=pb.RECOGNIZER_STATE_UNAVAILABLE, status=why)
            return response
        if status.code_of(why) is _Code.DEADLINE_EXCEEDED:
            outcome = pb.OUTCOME_TIMEOUT
        response.results.add(recognizer=self.name, outcome=outcome, status=why)
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
        message = _MESSAGES.get(code, "{} failed: " + original.message).format(self.name)
        return status.make(code, _REASONS.get(code, "RECOGNIZER_FAILED"), message, recognizer=self.name)


def hops_of(context: Context) -> int:
    """Return the number of gateways that the call has passed through, this one included. Raises TooManyHops."""
    value = str(dict(context.invocation_metadata() or ()).get(HOPS_KEY, "0"))
    hops = int(value[:3]) + 1 if value.isdecimal() else 1
    if hops > MAX_HOPS:
        raise TooManyHops(f"The call passed through more than {MAX_HOPS} gateways. Do they call each other in a loop?")
    return hops


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
