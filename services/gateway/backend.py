"""One recognizer behind the gateway."""

import json
import time
from typing import Any

import grpc
import structlog
from google.rpc import status_pb2

from marquee.v1 import recognizer_pb2 as pb
from marquee.v1 import recognizer_pb2_grpc
from services.gateway import metrics
from services.gateway.config import BackendConfig
from services.runtime import status
from services.runtime.limits import MAX_MESSAGE_BYTES

logger = structlog.get_logger()
HOPS_KEY = "marquee-hops"
_Code = grpc.StatusCode
_REASONS = {_Code.UNAVAILABLE: "RECOGNIZER_UNAVAILABLE", _Code.DEADLINE_EXCEEDED: "RECOGNIZER_TIMEOUT"}
_MESSAGES = {_Code.UNAVAILABLE: "{} does not answer.", _Code.DEADLINE_EXCEEDED: "{} did not answer in time."}


class Backend:
    """A channel to one recognizer. It never raises for a recognizer's sake: a failure is a result."""

    def __init__(self, name: str, config: BackendConfig) -> None:
        self.name = name
        self.timeout = config.timeout
        self._places = config.max_in_flight
        self._in_flight = 0
        self._channel = grpc.aio.insecure_channel(config.target, options=_options(config))
        self._stub: Any = recognizer_pb2_grpc.RecognizerServiceStub(self._channel)

    async def recognize(
        self, request: pb.RecognizeImageRequest, timeout: float, hops: int
    ) -> pb.RecognizeImageResponse:
        """The recognizer's answer, with its results named as this gateway names them."""
        begin = time.perf_counter()
        if self._in_flight >= self._places:
            response = self._shed()
        else:
            response = await self._ask(request, timeout, hops)
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
            one.name = self._named(one.name, answer.gateway)
        return list(answer.recognizers)

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close()

    async def _ask(self, request: pb.RecognizeImageRequest, timeout: float, hops: int) -> pb.RecognizeImageResponse:
        self._in_flight += 1
        try:
            response: pb.RecognizeImageResponse = await self._stub.RecognizeImage(
                request, timeout=timeout, metadata=((HOPS_KEY, str(hops)),)
            )
        except grpc.aio.AioRpcError as exc:
            return self._failed(self._why(exc))
        finally:
            self._in_flight -= 1
        if not response.results:
            return self._failed(status.make(_Code.INTERNAL, "RECOGNIZER_FAILED", f"{self.name} answered no result."))
        for result in response.results:
            result.recognizer = self._named(result.recognizer, response.gateway)
        return response

    def _named(self, inner: str, gateway: str) -> str:
        return f"{self.name}/{inner}" if gateway else self.name

    def _shed(self) -> pb.RecognizeImageResponse:
        message = f"{self.name} has {self._places} calls in flight, as many as it is given. Try again later."
        return self._failed(status.make(_Code.RESOURCE_EXHAUSTED, "SHED", message), pb.OUTCOME_SHED)

    def _failed(
        self, why: status_pb2.Status, outcome: pb.Outcome.ValueType = pb.OUTCOME_ERROR
    ) -> pb.RecognizeImageResponse:
        if why.code == status.number(_Code.DEADLINE_EXCEEDED):
            outcome = pb.OUTCOME_TIMEOUT
        result = pb.RecognizerResult(recognizer=self.name, outcome=outcome, status=why)
        return pb.RecognizeImageResponse(results=[result])

    def _why(self, error: grpc.aio.AioRpcError) -> status_pb2.Status:
        """What the recognizer said; what gRPC says of the network goes to the log, not to the caller."""
        said = status.from_rpc_error(error)
        if said.details:
            return said
        code = status.code_of(said)
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
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    method = {"name": [{"service": "marquee.v1.RecognizerService"}]}
    return {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [method if config.priced else method | {"retryPolicy": retry}],
    }
