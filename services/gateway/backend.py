"""One recognizer behind the gateway."""

import json
import time
from collections.abc import Callable
from typing import Any

import grpc
import structlog
from google.rpc import status_pb2

from marquee.v1 import enrollment_pb2_grpc, recognizer_pb2_grpc
from marquee.v1 import recognizer_pb2 as pb
from services.gateway import metrics
from services.gateway.config import BackendConfig
from services.gateway.hops import HOPS_KEY
from services.runtime import status
from services.runtime.limits import MAX_MESSAGE_BYTES
from services.runtime.server.server import RECOGNIZER_SERVICE

logger = structlog.get_logger()
_Code = grpc.StatusCode
_REASONS = {_Code.UNAVAILABLE: "RECOGNIZER_UNAVAILABLE", _Code.DEADLINE_EXCEEDED: "RECOGNIZER_TIMEOUT"}
_MESSAGES = {_Code.UNAVAILABLE: "{} does not answer.", _Code.DEADLINE_EXCEEDED: "{} did not answer in time."}


class CallFailed(Exception):
    """A recognizer's call failed, or was not made."""

    def __init__(self, why: status_pb2.Status, outcome: pb.Outcome.ValueType = pb.OUTCOME_ERROR) -> None:
        super().__init__(why.message)
        self.status = why
        late = why.code == status.number(_Code.DEADLINE_EXCEEDED)
        self.outcome = pb.OUTCOME_TIMEOUT if late else outcome


class Backend:
    """A channel to one recognizer. It never raises for a recognizer's sake: a failure is a result."""

    def __init__(self, name: str, config: BackendConfig) -> None:
        self.name = name
        self.timeout = config.timeout
        self._places = config.max_in_flight
        self._in_flight = 0
        self._channel = grpc.aio.insecure_channel(config.target, options=_options(config))
        self._stub: Any = recognizer_pb2_grpc.RecognizerServiceStub(self._channel)
        self._recognize: Callable[..., Any] = self._channel.unary_unary(
            f"/{RECOGNIZER_SERVICE}/RecognizeImage", response_deserializer=pb.RecognizeImageResponse.FromString
        )
        self.enrollment: Any = enrollment_pb2_grpc.EnrollmentServiceStub(self._channel)

    async def recognize(self, request: bytes, timeout: float, hops: int) -> pb.RecognizeImageResponse:
        """The recognizer's answer to a serialized request, with its results named as this gateway names them."""
        begin = time.perf_counter()
        try:
            response = await self._ask(request, timeout, hops)
        except CallFailed as exc:
            result = pb.RecognizerResult(recognizer=self.name, outcome=exc.outcome, status=exc.status)
            response = pb.RecognizeImageResponse(results=[result])
        seconds = time.perf_counter() - begin
        for result in response.results:
            metrics.count_result(self.name, result.outcome, seconds)
            if response.HasField("timings") and not response.gateway:  # a gateway has measured its own
                inside = response.timings.total.ToNanoseconds()
                result.timings.network.FromNanoseconds(max(0, int(seconds * 1e9) - inside))
        return response

    async def list(self, timeout: float, hops: int) -> list[pb.Recognizer]:
        """The recognizers behind this one: itself, or those of a gateway."""
        try:
            answer = await self._stub.ListRecognizers(
                pb.ListRecognizersRequest(), timeout=timeout, metadata=((HOPS_KEY, str(hops)),)
            )
        except grpc.aio.AioRpcError as exc:
            state = pb.RECOGNIZER_STATE_UNAVAILABLE
            return [pb.Recognizer(name=self.name, state=state, status=self._why(exc))]
        for one in answer.recognizers:
            one.name = self.named(one.name, answer.gateway)
        return list(answer.recognizers)

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close()

    async def call(self, method: Callable[..., Any], request: Any, timeout: float, hops: int) -> Any:
        """What the method of one of the stubs answers, as one of the calls that may be in flight. Raises CallFailed."""
        if self._in_flight >= self._places:
            message = f"{self.name} has {self._places} calls in flight, as many as it is given. Try again later."
            raise CallFailed(status.make(_Code.RESOURCE_EXHAUSTED, "SHED", message), pb.OUTCOME_SHED)
        self._in_flight += 1
        try:
            return await method(request, timeout=timeout, metadata=((HOPS_KEY, str(hops)),))
        except grpc.aio.AioRpcError as exc:
            raise CallFailed(self._why(exc)) from exc
        finally:
            self._in_flight -= 1

    def named(self, inner: str, gateway: str) -> str:
        """What this gateway calls a recognizer that the one behind it calls `inner`."""
        return f"{self.name}/{inner}" if gateway else self.name

    async def _ask(self, request: bytes, timeout: float, hops: int) -> pb.RecognizeImageResponse:
        response: pb.RecognizeImageResponse = await self.call(self._recognize, request, timeout, hops)
        if not response.results:
            raise CallFailed(status.make(_Code.INTERNAL, "RECOGNIZER_FAILED", f"{self.name} answered no result."))
        for result in response.results:
            result.recognizer = self.named(result.recognizer, response.gateway)
        return response

    def _why(self, error: grpc.aio.AioRpcError) -> status_pb2.Status:
        """What the recognizer said; what gRPC says of the network goes to the log, not to the caller."""
        said = status.from_rpc_error(error)
        if said.details:
            return said
        code = status.code_of(said)
        if code is _Code.CANCELLED:  # not by this gateway: its server stopped before it looked at the call
            code = _Code.UNAVAILABLE
        if code is not _Code.UNIMPLEMENTED:  # as every recognizer answers that does not enroll
            logger.warning("recognizer failed", recognizer=self.name, code=code.name, error=said.message)
        message = _MESSAGES.get(code, "{} failed: " + said.message).format(self.name)
        return status.make(code, _REASONS.get(code, "RECOGNIZER_FAILED"), message, recognizer=self.name)


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
        # A call that reaches a server while it stops is CANCELLED by gRPC, unseen.
        "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
    }
    method = {"name": [{"service": "marquee.v1.RecognizerService"}]}
    return {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [method if config.priced else method | {"retryPolicy": retry}],
    }
