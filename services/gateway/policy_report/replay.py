"""A call played again by another policy, from what all recognizers answered. Pure.

Recognizers answer after as long as they took; of what a policy cancels, the price is paid.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.backends.models import Told
from services.gateway.config import Veto
from services.gateway.evaluation.verdicts import Rule
from services.gateway.policy import veto as vetoes
from services.gateway.policy.course import Course, Member, Step
from services.gateway.policy.sure import Bar
from services.runtime.requests import Policy

_NANOS = 1e9


@dataclass(frozen=True)
class Operation:
    """How a gateway is operated."""

    members: Sequence[Member]
    prices: Mapping[str, int]
    """Of what is asked, in millionths of a US dollar, by recognizer."""
    rule: Rule
    scores: Mapping[str, float]
    """Scores that are confident, of recognizers with one of their own."""
    veto: Veto | None = None


@dataclass(frozen=True)
class Played:
    """What a call came to."""

    verdicts: Sequence[pb.Verdict]
    micro_usd: int
    calls: int
    seconds: float


def play(results: Sequence[pb.RecognizerResult], policy: Policy, score: float, operation: Operation) -> Played:
    """Return the call by this policy, which is sure from this score on."""
    return _Call(results, policy, score, operation).play()


class _Call:
    def __init__(
        self, results: Sequence[pb.RecognizerResult], policy: Policy, score: float, operation: Operation
    ) -> None:
        self._results: dict[str, list[pb.RecognizerResult]] = {}
        for result in results:
            self._results.setdefault(outer(result.recognizer), []).append(result)
        self._operation = operation
        self._course = Course(policy, operation.members)
        self._bar = Bar(frozenset({pb.FEATURE_CELEBRITIES}), score, operation.scores)
        self._heard: list[pb.RecognizerResult] = []
        self._ends: dict[str, float] = {}
        self._micro_usd = 0
        self._calls = 0

    def play(self) -> Played:
        """Return what the call comes to."""
        now = 0.0
        self._apply(self._course.begin(), now)
        while self._ends:
            name = min(self._ends, key=self._ends.__getitem__)
            now = self._ends.pop(name)
            self._hear(name)
            if self._course.is_open:
                self._apply(self._next(), now)
        return Played(self._operation.rule.verdicts(self._heard), self._micro_usd, self._calls, now)

    def _next(self) -> Step:
        veto = vetoes.reason_of(self._operation.veto, self._heard) if self._operation.veto else ""
        is_sure = self._bar.is_reached(self._heard, self._operation.rule.verdicts(self._heard))
        return self._course.go_on(is_sure=is_sure, veto=veto)

    def _apply(self, step: Step, now: float) -> None:
        for name in step.ask:
            self._ends[name] = now + max(map(_seconds, self._results.get(name, ())), default=0.0)
            self._calls += name in self._results
        for name in step.cancel:
            del self._ends[name]
            self._micro_usd += self._operation.prices.get(name, 0)

    def _hear(self, name: str) -> None:
        self._course.hear(name)
        results = self._results.get(name, ())
        self._heard += results
        self._micro_usd += sum(result.cost_micro_usd for result in results)


def outer(name: str) -> str:
    """Return the configured recognizer that a result is from: itself, or the gateway that it is behind."""
    return name.partition("/")[0]


def members_of(recognizers: Sequence[pb.Recognizer]) -> list[Member]:
    """Return a member for each configured recognizer, in the gateway's order."""
    prices = prices_of(recognizers)
    return [Member(name, is_paid=price > 0) for name, price in prices.items()]


def prices_of(recognizers: Sequence[pb.Recognizer]) -> dict[str, int]:
    """Return what CELEBRITIES cost, in millionths of a US dollar; what is behind a gateway adds up."""
    told = Told(recognizers)
    names = dict.fromkeys(outer(one.name) for one in recognizers)
    return {name: told.price_of({pb.FEATURE_CELEBRITIES}, {name}) for name in names}


def _seconds(result: pb.RecognizerResult) -> float:
    timings = result.timings
    return sum(one.ToNanoseconds() for one in (timings.queue, timings.network, timings.recognizer)) / _NANOS
