"""Pods and dollars: the fewest pods that keep the objective with a zone gone, and what they and Amazon cost."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from bench.simulate.runs import RECOGNIZERS, WORKERS, Plan, build, latencies, quantile, simulate
from bench.simulate.service_times import Distribution, Measured
from bench.simulate.system import Answer, Policy
from services.rekognition.budget.prices import TIERS

OBJECTIVE = 2.5
"""Seconds within which 99 % of the calls end: the chart's `alerts.latency`."""
ZONES = 3
CORE_HOUR = 0.1008 / 2 / 0.9
"""Dollars: m7i.large on demand in us-east-1, of whose two cores a tenth is the node's own. As in docs/eks.md."""
HOURS = 730
PICTURES = 6000
"""Of a run."""
_UTILIZATIONS = (0.8, 0.7, 0.6, 0.5, 0.4)
"""Of the pods that are left when a zone goes, from the most; the rest is for bursts that no average shows."""
_FEATURES = ("RecognizeCelebrities", "DetectLabels")
"""Operations of a picture under the default features, both of Amazon's group 2."""


@dataclass(frozen=True)
class Size:
    """Pods for a rate of pictures a second, and what it is like with all zones, and with one gone."""

    rate: float
    plan: Plan
    usual: Sequence[float]
    degraded: Sequence[float]
    """Seconds, p50 and p99."""
    paid: float
    """Share of the pictures that Amazon is asked about."""
    cells: int = 1
    """So many of the plan side by side, each with its part of the pictures."""

    @property
    def pods(self) -> Mapping[str, int]:
        """Pods of each component, in all cells."""
        return {name: number * self.cells for name, number in self.plan.pods.items()}

    @property
    def compute(self) -> float:
        """Dollars a month for the pods' cores."""
        return sum(number * WORKERS[name] for name, number in self.pods.items()) * CORE_HOUR * HOURS

    @property
    def amazon(self) -> float:
        """Dollars a month to Amazon."""
        return amazon_dollars(self.rate * self.paid * HOURS * 3600 * len(_FEATURES))


def amazon_dollars(calls: float) -> float:
    """Return what so many calls of group 2 cost within a month."""
    tiers = TIERS["group_2"]
    ends = [*(tier.from_calls for tier in tiers[1:]), math.inf]
    counted = (max(0, min(calls, end) - tier.from_calls) for tier, end in zip(tiers, ends, strict=True))
    return sum(number * tier.micro_usd for number, tier in zip(counted, tiers, strict=True)) / 1e6


def size(measured: Measured, amazon: Distribution, rate: float, like: Plan) -> Size:
    """Return the fewest pods that keep the objective with a zone gone, all components being equally busy."""
    for utilization in _UTILIZATIONS:
        plan = replace(like, pods=_pods(measured, rate, utilization, like))
        left = replace(plan, pods={name: number * (ZONES - 1) // ZONES for name, number in plan.pods.items()})
        degraded = run(measured, amazon, left, rate)
        if quantile(latencies(degraded), 0.99) <= OBJECTIVE:
            usual = run(measured, amazon, plan, rate)
            paid = sum("rekognition" in one.outcomes for one in usual) / len(usual)
            return Size(rate, plan, _p50_p99(usual), _p50_p99(degraded), max(paid, _billed(like)))
    raise SystemExit(f"No number of pods keeps {OBJECTIVE} s at {rate} pictures a second.")


def run(measured: Measured, amazon: Distribution, plan: Plan, rate: float) -> list[Answer]:
    """Return the answers of one run."""
    return simulate(partial(build, measured=measured, amazon=amazon, plan=plan), rate, PICTURES / rate)


def _pods(measured: Measured, rate: float, utilization: float, plan: Plan) -> dict[str, int]:
    """Return pods, equally many in each zone, of which those left when a zone goes are so busy."""
    shares = dict(zip(("gateway", *RECOGNIZERS), _shares(plan), strict=True))
    cores = {name: rate * share * measured.cpu[name].mean for name, share in shares.items()}
    left = {name: math.ceil(busy / WORKERS[name] / utilization) for name, busy in cores.items()}
    return {name: ZONES * math.ceil(number / (ZONES - 1)) for name, number in left.items()}


def _shares(plan: Plan) -> Iterator[float]:
    """Yield the share of the pictures that the gateway and each recognizer in turn gets."""
    yield 1
    share = 1 - plan.cached
    for name in RECOGNIZERS:
        yield share
        share *= 1 - plan.sure.get(name, 0) if plan.policy is Policy.CASCADE else 1


def _billed(plan: Plan) -> float:
    """Return the share that FIRST_CONFIDENT and ALL ask Amazon about: cancelled calls are billed, too."""
    return 0 if plan.policy is Policy.CASCADE else 1 - plan.cached


def _p50_p99(answers: Sequence[Answer]) -> tuple[float, float]:
    seconds = latencies(answers)
    return quantile(seconds, 0.5), quantile(seconds, 0.99)
