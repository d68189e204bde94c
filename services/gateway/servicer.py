"""The gateway: one call in, every recognizer asked, one answer out. It never decodes a picture."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

import grpc
from structlog.contextvars import bind_contextvars

from marquee.v1 import enrollment_pb2_grpc, recognizer_pb2_grpc
from marquee.v1 import recognizer_pb2 as pb
from services.gateway import fusion, metrics
from services.gateway.backend import Backend
from services.gateway.config import GatewayConfig
from services.gateway.enrollment import EnrollmentGateway
from services.gateway.failure import raise_if_nobody_answered
from services.gateway.hops import hops_of
from services.gateway.plan import Ask, plan
from services.gateway.settings import GatewaySettings
from services.runtime import requests
from services.runtime.server.calls import Context, seconds_left
from services.runtime.server.server import ENROLLMENT_SERVICE, RECOGNIZER_SERVICE, Service

_LIST_SECONDS = 2.0


class Gateway(Service, recognizer_pb2_grpc.RecognizerServiceServicer):
    """Implements RecognizerService over other servers of it."""

    def __init__(self, config: GatewayConfig, settings: GatewaySettings) -> None:
        self._name = settings.gateway_name
        self._s3_allowed = settings.s3_allowed
        self._config = config
        self._backends: dict[str, Backend] = {}

    def register(self, server: grpc.aio.Server) -> Sequence[str]:
        """Adds both services."""
        recognizer_pb2_grpc.add_RecognizerServiceServicer_to_server(self, server)
        enrollment = EnrollmentGateway(self._name, self._backends, self._s3_allowed)
        enrollment_pb2_grpc.add_EnrollmentServiceServicer_to_server(enrollment, server)
        return (RECOGNIZER_SERVICE, ENROLLMENT_SERVICE)

    async def load(self) -> None:
        """Opens a channel to every recognizer; it waits for none, so that one alone is missed alone."""
        self._backends.update((name, Backend(name, backend)) for name, backend in self._config.recognizers.items())

    async def close(self) -> None:
        """Closes the channels."""
        await asyncio.gather(*(backend.close() for backend in self._backends.values()))

    async def RecognizeImage(  # noqa: N802 - the contract's name
        self, request: pb.RecognizeImageRequest, context: Context
    ) -> pb.RecognizeImageResponse:
        """Asks all and answers once."""
        begin = time.perf_counter()
        asks = self._accept(request, context)
        async with aclosing(_fan_out(asks)) as replies:
            answers = [reply async for reply in replies]
        return self._finish(request, asks, answers, begin)

    async def StreamRecognizeImage(  # noqa: N802 - the contract's name
        self, request: pb.RecognizeImageRequest, context: Context
    ) -> AsyncIterator[pb.RecognizeImageResponse]:
        """Asks all and passes each result on as soon as it is there."""
        begin = time.perf_counter()
        asks = self._accept(request, context)
        answers = []
        async with aclosing(_fan_out(asks)) as replies:
            async for reply in replies:
                answers.append(reply)
                for result in reply.results:
                    yield pb.RecognizeImageResponse(request_id=request.request_id, results=[result])
        response = self._finish(request, asks, answers, begin)
        response.ClearField("results")
        yield response

    async def ListRecognizers(  # noqa: N802 - the contract's name
        self, request: pb.ListRecognizersRequest, context: Context
    ) -> pb.ListRecognizersResponse:
        """Lists what stands behind each recognizer."""
        del request
        hops = hops_of(context)
        timeout = min(_LIST_SECONDS, seconds_left(context) * 0.8)
        lists = await asyncio.gather(*(backend.list(timeout, hops) for backend in self._backends.values()))
        return pb.ListRecognizersResponse(recognizers=[one for each in lists for one in each], gateway=self._name)

    def _accept(self, request: pb.RecognizeImageRequest, context: Context) -> list[Ask]:
        request.request_id = requests.request_id_of(request.request_id)
        bind_contextvars(request_id=request.request_id, bytes=len(request.image.content))
        requests.check_request(request, self._s3_allowed)
        return plan(request, self._backends, seconds_left(context), hops_of(context))

    def _finish(
        self,
        request: pb.RecognizeImageRequest,
        asks: Sequence[Ask],
        answers: Sequence[pb.RecognizeImageResponse],
        begin: float,
    ) -> pb.RecognizeImageResponse:
        results = _in_order([result for answer in answers for result in answer.results], asks)
        bind_contextvars(outcomes={result.recognizer: metrics.outcome_name(result.outcome) for result in results})
        raise_if_nobody_answered(results, request.request_id)
        response = pb.RecognizeImageResponse(
            request_id=request.request_id,
            image=next((answer.image for answer in answers if answer.HasField("image")), None),
            results=results,
            labels=fusion.merge_labels(results, requests.max_labels_of(request)),
            verdicts=fusion.verdicts(results),
            cost_micro_usd=sum(answer.cost_micro_usd for answer in answers),
            saved_micro_usd=sum(answer.saved_micro_usd for answer in answers),
            gateway=self._name,
        )
        metrics.count_verdicts(response.verdicts)
        response.timings.total.FromNanoseconds(int((time.perf_counter() - begin) * 1e9))
        return response


async def _fan_out(asks: Sequence[Ask]) -> AsyncGenerator[pb.RecognizeImageResponse]:
    """Each answer as soon as it is there; what still runs is cancelled when nobody listens any more."""
    tasks = [asyncio.create_task(ask.send()) for ask in asks]
    try:
        for done in asyncio.as_completed(tasks):
            yield await done
    finally:
        for task in tasks:
            task.cancel()


def _in_order(results: Sequence[pb.RecognizerResult], asks: Sequence[Ask]) -> list[pb.RecognizerResult]:
    order = {ask.backend.name: number for number, ask in enumerate(asks)}
    return sorted(results, key=lambda result: order[result.recognizer.partition("/")[0]])
