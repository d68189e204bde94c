"""One RecognizeImage call: calls to recognizers, and one response made of their answers."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from functools import partial

from prometheus_client import Counter, Histogram
from structlog.contextvars import bind_contextvars

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.backends import answer
from services.gateway.backends.backend import check_answered, count, outcome_name
from services.gateway.fusion.verdict import merge_labels, verdicts
from services.gateway.plan import BackendCall
from services.gateway.waterfall import Waterfall, logged
from services.runtime import requests
from services.runtime.limits import MAX_MESSAGE_BYTES
from services.runtime.server.metrics import BUCKETS
from services.runtime.server.tracing import exemplar

_QUICK_ENTRIES = 200
"""Maximum number of faces and labels that are fused in the event loop, in a few milliseconds."""
_seconds = Histogram(
    "marquee_backend_duration_seconds",
    "Duration of calls to a recognizer as the gateway sees it, by outcome.",
    ("recognizer", "outcome"),
    buckets=BUCKETS,
)
_verdicts = Counter("marquee_verdicts", "Total verdicts by state.", ("state",))


class Recognition:
    """One call: `responses` calls the recognizers, then `finish` returns what their answers make together."""

    def __init__(
        self, gateway: str, request: pb.RecognizeImageRequest, calls: Sequence[BackendCall], begin: float
    ) -> None:
        self._gateway = gateway
        self._request_id = request.request_id
        self._max_labels = requests.max_labels_of(request)
        self._face_boxes = len(request.face_boxes)
        self._calls = calls
        self._waterfall = Waterfall(begin)
        self._responses: list[pb.RecognizeImageResponse] = []

    async def responses(self) -> AsyncGenerator[pb.RecognizeImageResponse]:
        """Yield each response as soon as it arrives; cancel calls still running when nobody listens any more."""
        tasks = [asyncio.create_task(self._send(call)) for call in self._calls]
        try:
            for task in asyncio.as_completed(tasks):
                response = await task
                self._responses.append(response)
                answer.make_room(response.results)
                yield response
        finally:
            for pending in tasks:
                pending.cancel()

    async def finish(self) -> pb.RecognizeImageResponse:
        """Return the response of all results. Raises StatusError if recognizers failed and none answered.

        The largest results become failures if it would be too large.
        """
        results = self._in_order()
        answer.make_room(results)
        merged = await self._fused(results)
        while (excess := merged.ByteSize() - MAX_MESSAGE_BYTES) > 0:
            answer.make_room(results, sum(result.ByteSize() for result in results) - excess)
            merged = await self._fused(results)
        for verdict in merged.verdicts:
            _verdicts.labels(pb.VerdictState.Name(verdict.state).removeprefix("VERDICT_STATE_").lower()).inc()
        for result in results:
            count(result.recognizer, result.outcome, result.status)
        bind_contextvars(times=logged(merged))
        check_answered(results, self._request_id)
        return merged

    def _in_order(self) -> list[pb.RecognizerResult]:
        """Return all results in the configured order."""
        positions = {call.backend.name: position for position, call in enumerate(self._calls)}
        results = [result for response in self._responses for result in response.results]
        return sorted(results, key=lambda result: positions[result.recognizer.partition("/")[0]])

    async def _fused(self, results: Sequence[pb.RecognizerResult]) -> pb.RecognizeImageResponse:
        fuse = partial(_fuse, results, self._max_labels)
        is_quick = sum(len(result.faces) + len(result.labels) for result in results) <= _QUICK_ENTRIES
        with self._waterfall.fusing():
            labels, verdicts = fuse() if is_quick else await asyncio.to_thread(fuse)
        merged = pb.RecognizeImageResponse(
            request_id=self._request_id,
            image=next((response.image for response in self._responses if response.HasField("image")), None),
            results=results,
            labels=labels,
            verdicts=verdicts,
            cost_micro_usd=sum(response.cost_micro_usd for response in self._responses),
            saved_micro_usd=sum(response.saved_micro_usd for response in self._responses),
            gateway=self._gateway,
        )
        self._waterfall.complete(merged.timings)
        return merged

    async def _send(self, call: BackendCall) -> pb.RecognizeImageResponse:
        """Return the response, measured: the metrics' names are the configuration's, never the request's."""
        asked = self._waterfall.ask()
        response: pb.RecognizeImageResponse = await call.send()
        seconds = self._waterfall.answered(response, asked)
        for result in response.results:
            answer.check_described(result, self._face_boxes)
            _seconds.labels(call.backend.name, outcome_name(result.outcome)).observe(seconds, exemplar())
        return response


def _fuse(results: Sequence[pb.RecognizerResult], max_labels: int) -> tuple[list[pb.Label], list[pb.Verdict]]:
    return merge_labels(results, max_labels), verdicts(results)
