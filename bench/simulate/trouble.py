"""What happens in trouble: the slowest of three, a zone that goes, more pictures than the pods can take."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from bench.simulate.runs import RECOGNIZERS, WORKERS, Plan, build, latencies, quantile, simulate
from bench.simulate.service_times import Distribution, Measured
from bench.simulate.sizing import size
from bench.simulate.system import Answer, Outcome

_RATE = 200.0
_SECONDS = 30.0
ZONE_GOES = 10.0
_PLACES = 64
"""Of a gateway's pod: the default `max_in_flight`, of a recognizer and so of the gateway."""
_NOWHERE = Distribution([0] * 21, 0)
_USEFUL = 5
"""Seconds after which nobody waits for an answer any more."""
BUSY = (0.3, 0.5, 0.7, 0.85)
OFFERED = (0.5, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0)


@dataclass(frozen=True)
class Tail:
    """Seconds at the quantiles .5, .95 and .99, of one recognizer and of the slowest of a picture's three alike."""

    busy: float
    one: Sequence[float]
    slowest: Sequence[float]
    late: float
    """Share of the pictures whose slowest result takes longer than the p99 of one."""


@dataclass(frozen=True)
class Second:
    """What calls got that began within one second."""

    second: int
    p50: float
    p99: float
    missing: float
    """Share of the answers without one of the results."""
    lost: float
    """Share of the calls that ended with the gateway's pod."""


@dataclass(frozen=True)
class Load:
    """Pictures a second, of which so many were answered in whole in time, and the p99 of those answered at all."""

    offered: float
    good: float
    p99: float


def tails(measured: Measured) -> Iterator[Tail]:
    """Yield the tail of three recognizers like the SVM, so busy, of which none knows of the others."""
    alike = replace(measured, cpu=measured.cpu | dict.fromkeys(RECOGNIZERS, measured.cpu["svm"]))
    for busy in BUSY:
        pods = max(1, round(_RATE * measured.cpu["svm"].mean / busy))
        plan = Plan({"gateway": 6} | {name: math.ceil(pods / WORKERS[name]) for name in RECOGNIZERS})
        answers = simulate(partial(build, measured=alike, amazon=_NOWHERE, plan=plan), _RATE, _SECONDS)
        one = [seconds for answer in answers for seconds in answer.seconds.values()]
        slowest = [max(answer.seconds.values()) for answer in answers]
        late = sum(seconds > quantile(one, 0.99) for seconds in slowest) / len(slowest)
        yield Tail(busy, _three(one), _three(slowest), late)


def dead_zone(measured: Measured, amazon: Distribution, *, roomy: bool) -> list[Second]:
    """Return each second of a system, with room for the loss of a zone or without, that loses one."""
    plan = size(measured, amazon, _RATE, Plan({})).plan if roomy else _plan(measured, 0.85)
    make = partial(build, measured=measured, amazon=amazon, plan=plan)
    answers = simulate(make, _RATE, _SECONDS, lose_zone_at=ZONE_GOES)
    return [_second(number, answers) for number in range(int(_SECONDS))]


def overload(measured: Measured, amazon: Distribution, *, limited: bool) -> list[Load]:
    """Return what becomes of more and more pictures, with the default limits of each gateway's pod or without any."""
    plan = _plan(measured, 1.0)
    places = _PLACES * plan.pods["gateway"] if limited else plan.max_in_flight
    make = partial(build, measured=measured, amazon=amazon, plan=replace(plan, max_in_flight=places))
    return [_load(simulate(make, share * _RATE, _SECONDS), share * _RATE) for share in OFFERED]


def _load(answers: Sequence[Answer], offered: float) -> Load:
    good = sum(one.whole and one.end - one.begin <= _USEFUL for one in answers) / _SECONDS
    return Load(offered, good, quantile(latencies(answers), 0.99))


def _plan(measured: Measured, busy: float) -> Plan:
    """Return pods of which those of the SVM, the dearest, are so busy; of the others there are enough."""
    svm = max(1, round(_RATE * measured.cpu["svm"].mean / WORKERS["svm"] / busy))
    return Plan({"gateway": 6, "svm": svm, "keras": 3, "rekognition": 6})


def _second(number: int, answers: Sequence[Answer]) -> Second:
    ones = [one for one in answers if number <= one.begin < number + 1]
    seconds = latencies(ones)
    missing = sum(any(outcome is not Outcome.OK for outcome in one.outcomes.values()) for one in ones)
    lost = sum(one.lost for one in ones)
    return Second(number, quantile(seconds, 0.5), quantile(seconds, 0.99), missing / len(ones), lost / len(ones))


def _three(seconds: Sequence[float]) -> tuple[float, float, float]:
    return quantile(seconds, 0.5), quantile(seconds, 0.95), quantile(seconds, 0.99)
