"""The gateway: calls all recognizers at once and fuses their results. It never decodes a picture."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from prometheus_client import Counter, Histogram
from structlog.contextvars import bind_contextvars

from marquee.v1 import enrollment_pb2_grpc, recognizer_pb2_grpc
from marquee.v1 import recognizer_pb2 as pb
from services.gateway import answer, fusion
from services.gateway.backend import LIST_RECOGNIZERS, Backend, check_answered, count, hops_of, outcome_name
from services.gateway.config import GatewayConfig, load_config
from services.gateway.connection import Credentials, read_credentials
from services.gateway.enrollment import EnrollmentGateway
from services.gateway.plan import BackendCall, plan_recognition
from services.gateway.settings import GatewaySettings
from services.runtime import requests
from services.runtime.doors.caller import current
from services.runtime.doors.door import without_spending
from services.runtime.doors.watch import Watched
from services.runtime.limits import MAX_MESSAGE_BYTES
from services.runtime.server.calls import Context, seconds_left
from services.runtime.server.metrics import BUCKETS
from services.runtime.server.server import ENROLLMENT_SERVICE, RECOGNIZER_SERVICE, Service

_LIST_SECONDS = 2.0
_QUICK_ENTRIES = 200
"""Maximum number of faces and labels that are fused in the event loop, in a few milliseconds."""
_seconds = Histogram(
    "marquee_backend_duration_seconds",
    "Duration of calls to a recognizer as the gateway sees it, by outcome.",
    ("recognizer", "outcome"),
    buckets=BUCKETS,
)
_verdicts = Counter("marquee_verdicts", "Total verdicts by state.", ("state",))


class Gateway(Service, recognizer_pb2_grpc.RecognizerServiceServicer):
    """RecognizerService, implemented by calling the servers that the configuration names.

    Of a file the latest version counts. Raises ConfigError.
    """

    def __init__(self, config: GatewayConfig | Path, settings: GatewaySettings) -> None:
        self.name = settings.gateway_name
        self._s3_allowed = settings.s3_allowed
        self._file: Watched[GatewayConfig] | None = None
        if isinstance(config, Path):
            self._file = Watched("configuration", [config], partial(load_config, config), self._connect)
            config = self._file.value
        self._config = config
        self._credentials: Credentials = {}
        self._backends: dict[str, Backend] = {}
        self._retiring: set[asyncio.Task[None]] = set()

    def register(self, server: grpc.aio.Server) -> Sequence[str]:
        """Add both services."""
        recognizer_pb2_grpc.add_RecognizerServiceServicer_to_server(self, server)
        enrollment = EnrollmentGateway(self.name, self._backends, self._s3_allowed)
        enrollment_pb2_grpc.add_EnrollmentServiceServicer_to_server(enrollment, server)
        return (RECOGNIZER_SERVICE, ENROLLMENT_SERVICE)

    async def load(self) -> None:
        """Open a channel to every recognizer, but wait for none: one that is away must not stop the others."""
        self._connect(self._config)

    def files(self) -> Sequence[Watched[Any]]:
        """Return the configuration, and what the connections are made of."""
        return (*((self._file,) if self._file else ()), *self._credentials.values())

    async def close(self) -> None:
        """Close the connections."""
        self._retire(self._backends.values())
        await asyncio.gather(*self._retiring)

    def _connect(self, config: GatewayConfig) -> None:
        """Call these recognizers from now on; calls in flight end where they are. Raises ValueError and OSError."""
        self._credentials = read_credentials(config, self._credentials)
        known = self._backends
        backends = {
            name: known[name] if name in known and known[name].config == one else Backend(name, one, self._credentials)
            for name, one in config.recognizers.items()
        }
        retired = [backend for name, backend in known.items() if backends.get(name) is not backend]
        known.clear()  # and filled again: both services plan their calls with this very dict
        known.update(backends)
        self._retire(retired)

    def _retire(self, backends: Iterable[Backend]) -> None:
        for backend in backends:
            retiring = asyncio.get_running_loop().create_task(backend.close())
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)

    async def RecognizeImage(  # noqa: N802 - the contract's name
        self, request: pb.RecognizeImageRequest, context: Context
    ) -> pb.RecognizeImageResponse:
        """Return the results of all recognizers."""
        begin = time.perf_counter()
        calls = self._plan(request, context)
        async with aclosing(_fan_out(calls, len(request.face_boxes))) as stream:
            responses = [response async for response in stream]
        results = _in_order(responses, calls)
        merged = await self._merged(request, results, responses, begin)
        for result in results:
            count(result.recognizer, result.outcome, result.status)
        check_answered(results, request.request_id)
        return merged

    async def StreamRecognizeImage(  # noqa: N802 - the contract's name
        self, request: pb.RecognizeImageRequest, context: Context
    ) -> AsyncIterator[pb.RecognizeImageResponse]:
        """Yield each result as soon as it arrives, then the rest of the response."""
        begin = time.perf_counter()
        calls = self._plan(request, context)
        responses = []
        async with aclosing(_fan_out(calls, len(request.face_boxes))) as stream:
            async for response in stream:
                responses.append(response)
                answer.make_room(response.results)
                for result in response.results:
                    count(result.recognizer, result.outcome, result.status)
                    yield pb.RecognizeImageResponse(request_id=request.request_id, results=[result])
        results = _in_order(responses, calls)
        last = await self._merged(request, results, responses, begin)
        check_answered(results, request.request_id)
        last.ClearField("results")
        yield last

    async def ListRecognizers(  # noqa: N802 - the contract's name
        self, request: pb.ListRecognizersRequest, context: Context
    ) -> pb.ListRecognizersResponse:
        """List all recognizers, and those behind each that is a gateway."""
        message, hops = request.SerializeToString(), hops_of(context)
        timeout = min(_LIST_SECONDS, seconds_left(context) * 0.8)
        calls = (backend.call(LIST_RECOGNIZERS, message, timeout, hops) for backend in self._backends.values())
        responses = await asyncio.gather(*calls)
        recognizers = [one for response in responses for one in response.recognizers]
        answer.make_room(recognizers)
        for one in recognizers:
            if one.state == pb.RECOGNIZER_STATE_UNAVAILABLE:
                count(one.name, pb.OUTCOME_ERROR, one.status)
        withheld = any(response.spending_withheld for response in responses)
        listed = pb.ListRecognizersResponse(recognizers=recognizers, gateway=self.name, spending_withheld=withheld)
        return without_spending(listed, current())

    def _plan(self, request: pb.RecognizeImageRequest, context: Context) -> list[BackendCall]:
        request.request_id = requests.request_id_of(request.request_id)
        bind_contextvars(request_id=request.request_id, bytes=len(request.image.content))
        requests.check_request(request, self._s3_allowed)
        return plan_recognition(request, self._backends, seconds_left(context), hops_of(context))

    async def _merged(
        self,
        request: pb.RecognizeImageRequest,
        results: Sequence[pb.RecognizerResult],
        responses: Sequence[pb.RecognizeImageResponse],
        begin: float,
    ) -> pb.RecognizeImageResponse:
        """Return the response. The largest results become failures if it would be too large."""
        answer.make_room(results)
        merged = await self._fused(request, results, responses, begin)
        while (excess := merged.ByteSize() - MAX_MESSAGE_BYTES) > 0:
            answer.make_room(results, sum(result.ByteSize() for result in results) - excess)
            merged = await self._fused(request, results, responses, begin)
        for verdict in merged.verdicts:
            _verdicts.labels(pb.VerdictState.Name(verdict.state).removeprefix("VERDICT_STATE_").lower()).inc()
        return merged

    async def _fused(
        self,
        request: pb.RecognizeImageRequest,
        results: Sequence[pb.RecognizerResult],
        responses: Sequence[pb.RecognizeImageResponse],
        begin: float,
    ) -> pb.RecognizeImageResponse:
        fuse = partial(_fuse, results, requests.max_labels_of(request))
        is_quick = sum(len(result.faces) + len(result.labels) for result in results) <= _QUICK_ENTRIES
        labels, verdicts = fuse() if is_quick else await asyncio.to_thread(fuse)
        merged = pb.RecognizeImageResponse(
            request_id=request.request_id,
            image=next((response.image for response in responses if response.HasField("image")), None),
            results=results,
            labels=labels,
            verdicts=verdicts,
            cost_micro_usd=sum(response.cost_micro_usd for response in responses),
            saved_micro_usd=sum(response.saved_micro_usd for response in responses),
            gateway=self.name,
        )
        merged.timings.total.FromNanoseconds(int((time.perf_counter() - begin) * 1e9))
        return merged


def _fuse(results: Sequence[pb.RecognizerResult], max_labels: int) -> tuple[list[pb.Label], list[pb.Verdict]]:
    return fusion.merge_labels(results, max_labels), fusion.verdicts(results)


async def _fan_out(calls: Sequence[BackendCall], face_boxes: int) -> AsyncGenerator[pb.RecognizeImageResponse]:
    """Yield each response as soon as it arrives; cancel calls still running when the caller stops listening."""
    tasks = [asyncio.create_task(_send(call, face_boxes)) for call in calls]
    try:
        for task in asyncio.as_completed(tasks):
            yield await task
    finally:
        for pending in tasks:
            pending.cancel()


async def _send(call: BackendCall, face_boxes: int) -> pb.RecognizeImageResponse:
    """Return the response, measured: the metrics' names are the configuration's, never the request's."""
    begin = time.perf_counter()
    response: pb.RecognizeImageResponse = await call.send()
    seconds = time.perf_counter() - begin
    for result in response.results:
        answer.check_described(result, face_boxes)
        _seconds.labels(call.backend.name, outcome_name(result.outcome)).observe(seconds)
        if response.HasField("timings") and not response.gateway:  # a gateway has measured its own
            network = int(seconds * 1e9) - response.timings.total.ToNanoseconds()
            result.timings.network.FromNanoseconds(max(0, network))
    return response


def _in_order(
    responses: Sequence[pb.RecognizeImageResponse], calls: Sequence[BackendCall]
) -> list[pb.RecognizerResult]:
    """Return all results in the configured order."""
    positions = {call.backend.name: position for position, call in enumerate(calls)}
    results = [result for response in responses for result in response.results]
    return sorted(results, key=lambda result: positions[result.recognizer.partition("/")[0]])
