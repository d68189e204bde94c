"""One RecognizeImage call: calls to recognizers, and one response made of their answers."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from functools import cache, partial

from prometheus_client import Counter, Histogram
from structlog.contextvars import bind_contextvars

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.backends import answer
from services.gateway.backends.backend import bind_outcomes, check_answered, count, outcome_name
from services.gateway.fusion.verdict import Rules, merge_labels, verdicts
from services.gateway.plan import RecognitionCall, RecognitionPlan
from services.gateway.policy import required, veto
from services.gateway.policy.course import INCOMPLETE, POLICIES, Course, Step
from services.gateway.policy.sure import Bar
from services.gateway.waterfall import Waterfall, logged
from services.runtime import requests
from services.runtime.limits import MAX_MESSAGE_BYTES
from services.runtime.server.calls import begin
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
_saved = Counter(
    "marquee_policy_saved_dollars",
    "Total dollars that calls which a policy did not make would have cost, by recognizer.",
    ("recognizer",),
)
_verdicts = Counter("marquee_verdicts", "Total verdicts by state.", ("state",))
_policies = Counter("marquee_policy_calls", "Total calls whose recognizers were asked, by policy.", ("policy",))
_of_policy = {policy: _policies.labels(pb.Policy.Name(policy).removeprefix("POLICY_").lower()) for policy in POLICIES}


class Recognition:
    """One call: `responses` calls the recognizers, then `finish` returns what their answers make together.

    The recognizers have answered at `end`, on time.monotonic()'s clock, or are late.
    """

    def __init__(
        self, gateway: str, request: pb.RecognizeImageRequest, plan: RecognitionPlan, rules: Rules, end: float
    ) -> None:
        self._gateway = gateway
        self._request_id = request.request_id
        self._max_labels = requests.max_labels_of(request)
        self._features = frozenset(requests.features_of(request))
        self._required = tuple(request.required)
        self._rules = rules
        self._min_score = partial(requests.min_score_of, request)
        self._shows_all = not (request.min_score or request.recognizer_options)
        self._calls = {call.backend.name: call for call in plan.calls}
        self._course = Course(request.policy, plan.members)
        _of_policy[request.policy or pb.POLICY_ALL].inc()
        self._veto, self._objection = plan.veto, ""
        self._waterfall, self._end = Waterfall(begin()), end
        self._asked: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._running: dict[str, asyncio.Future[pb.RecognizeImageResponse]] = {}
        self._arrivals: asyncio.Queue[str | None] = asyncio.Queue()
        """Names of those who have answered; None when all others are late."""
        self._responses: list[pb.RecognizeImageResponse] = []
        self._last = end
        """When the last answer was there, or due."""
        self.may_be_billed = False
        """Whether a recognizer that costs money was sent the picture, and has not said that it cost nothing."""

    @property
    def seconds_since(self) -> float:
        """Seconds since the last recognizer has answered, or since it was too late to."""
        return time.monotonic() - self._last

    async def responses(self) -> AsyncGenerator[pb.RecognizeImageResponse]:
        """Yield each response as soon as it arrives; cancel calls still running when nobody listens any more."""
        alarm = asyncio.get_running_loop().call_at(self._end, self._arrivals.put_nowait, None)
        try:
            for response in self._take(self._course.begin(self._kept())):
                yield response
            while self._running:
                name = await self._arrivals.get()
                for response in self._late() if name is None else self._heard(name):
                    yield response
                for response in self._take(await self._next()):
                    yield response
        finally:
            alarm.cancel()
            for name, running in self._running.items():
                self._calls[name].cache.leave(running)

    def _kept(self) -> list[str]:
        """Return whose answers are in the cache, if that makes a difference."""
        return [name for name, call in self._calls.items() if call.is_kept] if self._course.prefers_cached else []

    def _take(self, step: Step) -> list[pb.RecognizeImageResponse]:
        """Take the step; return the responses of those that it leaves out."""
        for name in step.ask:
            call, seconds = self._calls[name], self._share()
            self._asked[name], self._due[name] = self._waterfall.ask(), time.monotonic() + min(seconds, call.timeout)
            self._running[name] = running = call.ask(seconds)
            running.add_done_callback(partial(self._arrive, name))
        responses = [self._cancelled(name, step.reason) for name in step.cancel]
        responses += [self._skipped(name, step.reason) for name in step.skip]
        self._responses += responses
        return responses

    def _share(self) -> float:
        """Return the seconds of one who is asked now: those who may be asked after it have as many."""
        return max(0.0, (self._end - time.monotonic()) / (1 + self._course.unasked))

    def _arrive(self, name: str, running: asyncio.Future[pb.RecognizeImageResponse]) -> None:
        del running
        self._arrivals.put_nowait(name)

    def _heard(self, name: str) -> list[pb.RecognizeImageResponse]:
        """Return the response that has arrived; none of a call that was given up in the meantime."""
        running = self._running.pop(name, None)
        if running is None:
            return []
        self._course.hear(name)
        response = running.result()
        self._time(name, response)
        self._measured(self._calls[name], response)
        answer.make_room(response.results)
        if self._veto is not None and name == self._veto.recognizer:
            self._objection = veto.reason_of(self._veto, response.results)
            for result in response.results:
                veto.leave_out_labels(result)
        self._responses.append(response)
        return [response]

    def _late(self) -> list[pb.RecognizeImageResponse]:
        """Give up all calls that are running; return the responses that say so."""
        calls = [self._calls[name] for name, running in self._running.items() if not running.done()]
        responses = []
        for call in calls:
            response = call.late(self._running.pop(call.backend.name))
            self._course.hear(call.backend.name)
            responses.append(self._measured(call, response))
        self._responses += responses
        return responses

    async def _next(self) -> Step:
        """Return the next step, now that somebody has answered."""
        if self._required and not self._course.awaits_required and required.missing(self._required, self._in_order()):
            return self._course.end(INCOMPLETE)
        if not self._course.is_open:
            return Step()
        return self._course.go_on(is_sure=await self._is_sure(), veto=self._objection)

    async def _is_sure(self) -> bool:
        results = self._in_order()
        bar = Bar(self._features, self._rules.confident_score, self._rules.confident_scores)
        return bar.is_reached(results, (await self._judged(results, results))[1])

    def _time(self, name: str, response: pb.RecognizeImageResponse) -> None:
        """Note when this response was there."""
        self._last = time.monotonic()
        is_late = any(result.outcome == pb.OUTCOME_TIMEOUT for result in response.results)
        if is_late and not response.gateway:  # and so is this, which is what the reserve is to cover
            self._last = min(self._last, self._due[name])

    def _measured(self, call: RecognitionCall, response: pb.RecognizeImageResponse) -> pb.RecognizeImageResponse:
        """Return the response, measured: the metrics' names are the configuration's, never the request's."""
        name = call.backend.name
        seconds = self._waterfall.answered(response, self._asked[name])
        for result in () if answer.is_recalled(response) else response.results:
            _durations(name, outcome_name(result.outcome)).observe(seconds, exemplar())
        if call.backend.is_paid:
            outcomes = {result.outcome for result in response.results}
            self.may_be_billed |= bool(response.cost_micro_usd or outcomes & {pb.OUTCOME_ERROR, pb.OUTCOME_TIMEOUT})
        return response

    def _cancelled(self, name: str, reason: str) -> pb.RecognizeImageResponse:
        """Cancel the recognizer's call; return the response that says so, and what it may be billed."""
        call = self._calls[name]
        price = call.give_up(self._running.pop(name))
        self.may_be_billed |= call.backend.is_paid
        result = _left_out(name, f"Cancelled: {reason}.")
        result.cost_micro_usd = price
        return pb.RecognizeImageResponse(results=[result], cost_micro_usd=price)

    def _skipped(self, name: str, reason: str) -> pb.RecognizeImageResponse:
        """Return the response of a recognizer that is not asked: its price was saved."""
        price = self._calls[name].price
        _saved.labels(name).inc(price / 1e6)
        return pb.RecognizeImageResponse(results=[_left_out(name, f"Not asked: {reason}.")], saved_micro_usd=price)

    async def finish(self) -> pb.RecognizeImageResponse:
        """Return the response of all results.

        Raises StatusError if a required recognizer is missing, and if recognizers failed and none answered.

        The largest results become failures if it would be too large.
        """
        results = self._in_order()
        answer.make_room(results)
        merged = await self._fused(results)
        while (excess := merged.ByteSize() - MAX_MESSAGE_BYTES) > 0:
            answer.make_room(results, sum(result.ByteSize() for result in results) - excess)
            merged = await self._fused(results)
        _tell(merged)
        if reasons := required.missing(self._required, results):
            raise required.failure(reasons, self._request_id)
        check_answered(results, self._request_id)
        return merged

    def shown(self, results: Sequence[pb.RecognizerResult]) -> Sequence[pb.RecognizerResult]:
        """Return the results without scores that the caller does not want; verdicts are made of all of them."""
        if self._shows_all:
            return results
        return [_without_low_scores(one, self._min_score(one.recognizer)) for one in results]

    def parts(self) -> Mapping[str, tuple[bytes, int]]:
        """Return each recognizer's key in the cache and what its answer saved; nothing unless all were kept there."""
        parts = {}
        for response in self._responses:
            name = response.results[0].recognizer.partition("/")[0]
            key = self._calls[name].key
            if key is None or not all(result.from_cache for result in response.results):
                return {}
            parts[name] = key, response.saved_micro_usd
        return parts

    def _in_order(self) -> list[pb.RecognizerResult]:
        """Return all results in the configured order."""
        positions = {name: position for position, name in enumerate(self._calls)}
        results = [result for response in self._responses for result in response.results]
        return sorted(results, key=lambda result: positions[result.recognizer.partition("/")[0]])

    async def _fused(self, results: Sequence[pb.RecognizerResult]) -> pb.RecognizeImageResponse:
        begin = time.perf_counter()
        shown = self.shown(results)
        labels, verdicts = await self._judged(results, shown)
        self._waterfall.fused(begin)
        merged = pb.RecognizeImageResponse(
            request_id=self._request_id, results=shown, labels=labels, verdicts=verdicts, gateway=self._gateway
        )
        for response in self._responses:
            merged.cost_micro_usd += response.cost_micro_usd
            merged.saved_micro_usd += response.saved_micro_usd
            if response.HasField("image") and not merged.HasField("image"):
                merged.image.CopyFrom(response.image)
        self._waterfall.complete(merged.timings)
        return merged

    async def _judged(
        self, results: Sequence[pb.RecognizerResult], shown: Sequence[pb.RecognizerResult]
    ) -> tuple[list[pb.Label], list[pb.Verdict]]:
        fuse = partial(_fuse, results, self._rules, shown, self._max_labels)
        is_quick = sum(len(result.faces) + len(result.labels) for result in results) <= _QUICK_ENTRIES
        return fuse() if is_quick else await asyncio.to_thread(fuse)


def recall(response: pb.RecognizeImageResponse, request: pb.RecognizeImageRequest) -> pb.RecognizeImageResponse:
    """Return a response that was kept, completed as one to this request."""
    waterfall = Waterfall(begin())
    response.request_id = request.request_id
    waterfall.complete(response.timings)
    _of_policy[request.policy or pb.POLICY_ALL].inc()
    _tell(response)
    return response


def _tell(response: pb.RecognizeImageResponse) -> None:
    """Count what is in the response to the caller, and log it."""
    for verdict in response.verdicts:
        _counter(verdict.state).inc()
    results: Sequence[pb.RecognizerResult] = response.results
    for result in results:
        if not result.from_cache:
            count(result.recognizer, result.outcome, result.status)
    bind_contextvars(times=logged(response))
    if recalled := [result.recognizer for result in results if result.from_cache]:
        bind_contextvars(from_cache=recalled)
    bind_outcomes(results)


def _left_out(name: str, why: str) -> pb.RecognizerResult:
    return pb.RecognizerResult(recognizer=name, outcome=pb.OUTCOME_SKIPPED, status={"message": why})


@cache
def _durations(recognizer: str, outcome: str) -> Histogram:
    return _seconds.labels(recognizer, outcome)


@cache
def _counter(state: pb.VerdictState.ValueType) -> Counter:
    return _verdicts.labels(pb.VerdictState.Name(state).removeprefix("VERDICT_STATE_").lower())


def _fuse(
    results: Sequence[pb.RecognizerResult], rules: Rules, shown: Sequence[pb.RecognizerResult], max_labels: int
) -> tuple[list[pb.Label], list[pb.Verdict]]:
    return merge_labels(shown, max_labels), verdicts(results, rules)


def _without_low_scores(result: pb.RecognizerResult, min_score: float) -> pb.RecognizerResult:
    if min_score <= 0:
        return result
    copy = pb.RecognizerResult()
    copy.CopyFrom(result)
    requests.drop_low_scores(copy, min_score)
    return copy
