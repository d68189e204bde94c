"""Runs of the model: systems built of measured times, pictures that arrive at random, and what became of them."""

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import simpy

from bench.simulate.service_times import Distribution, Measured
from bench.simulate.system import Answer, Cores, Pod, Policy, Recognizer, System, fleet

WORKERS = {"gateway": 1, "svm": 2, "keras": 2, "rekognition": 1}
"""Threads of a pod that take CPU, each with a core of its own. Nothing in the gateway runs beside its event loop."""
RECOGNIZERS = ("svm", "keras", "rekognition")
_WARM_SECONDS = 2.0
"""Of each run, not counted."""
_SLICE = 0.004
"""Seconds that Linux lets a process run before another one that waits."""
_THREADS = 32


@dataclass(frozen=True)
class Plan:
    """What runs, and how it is called."""

    pods: Mapping[str, int]
    policy: Policy = Policy.ALL
    sure: Mapping[str, float] = field(default_factory=dict)
    cached: float = 0
    timeout: float = 10
    max_in_flight: int = 10**9
    """Of each recognizer, and of the gateway."""


def build(env: simpy.Environment, measured: Measured, amazon: Distribution, plan: Plan) -> System:
    """Return a system of pods that share no cores, with Amazon elsewhere."""
    fleets = {name: fleet(env, measured.cpu[name], plan.pods[name], WORKERS[name]) for name in WORKERS}
    recognizers = {
        name: Recognizer(
            fleets[name],
            sure=plan.sure.get(name, 0),
            away=amazon if name == "rekognition" else None,
            timeout=plan.timeout,
            max_in_flight=plan.max_in_flight,
            priced=name == "rekognition",
        )
        for name in RECOGNIZERS
    }
    return System(env, fleets["gateway"], recognizers, plan.policy, plan.cached, plan.max_in_flight)


def build_machine(env: simpy.Environment, measured: Measured, cores: int) -> System:
    """Return the local system: everything, callers and stand-in for Amazon too, on the cores of one machine."""
    shared = Cores(env, cores, _SLICE)
    threads = {"svm": cores, "gateway": 1, "client": 1}
    fleets = {name: fleet(env, cpu, 1, threads.get(name, _THREADS), shared) for name, cpu in measured.cpu.items()}
    recognizers = {
        name: Recognizer(fleets[name], elsewhere=fleets["amazon"] if name == "rekognition" else None)
        for name in RECOGNIZERS
    }
    return System(env, fleets["gateway"], recognizers, client=fleets["client"])


def simulate(
    make: Callable[[simpy.Environment], System],
    rate: float,
    seconds: float,
    seed: int = 1,
    lose_zone_at: float | None = None,
) -> list[Answer]:
    """Return the answers to pictures that arrive at random, `rate` a second, once the queues have filled."""
    env = simpy.Environment()
    system = make(env)
    system.source.seed(seed)
    env.process(system.arrive(arrivals(rate, seconds + _WARM_SECONDS, seed)))
    if lose_zone_at is not None:
        system.fragile = True
        env.process(_lose_zone(env, system, lose_zone_at + _WARM_SECONDS))
    env.run()
    answers = [one for one in system.answers if one.begin >= _WARM_SECONDS]
    for one in answers:
        one.begin -= _WARM_SECONDS
        one.end -= _WARM_SECONDS
    return answers


def arrivals(rate: float, seconds: float, seed: int) -> list[float]:
    """Return the times of a Poisson process."""
    source, times, now = random.Random(seed), [], 0.0  # noqa: S311 - a simulation's draws
    while (now := now + source.expovariate(rate)) < seconds:
        times.append(now)
    return times


def _lose_zone(env: simpy.Environment, system: System, at: float):  # noqa: ANN202 - steps, as in parts
    yield env.timeout(at)
    for one in (system.gateway, *(recognizer.fleet for recognizer in system.recognizers.values())):
        one.lose_zone()


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def latencies(answers: Sequence[Answer]) -> list[float]:
    """Return the seconds of the calls that were answered."""
    return [one.end - one.begin for one in answers if not (one.refused or one.lost)]


def erlang_c_wait(rate: float, mean: float, servers: int) -> float:
    """Return the mean seconds of waiting in an M/M/c queue, as theory has it."""
    load = rate * mean
    term, total = 1.0, 1.0
    for number in range(1, servers):
        term *= load / number
        total += term
    last = term * load / servers * servers / (servers - load)
    return last / (total + last) * mean / (servers - load)


def simulated_wait(rate: float, mean: float, servers: int, seconds: float) -> float:
    """Return the same from the model's own parts."""
    env, source = simpy.Environment(), random.Random(1)  # noqa: S311 - a simulation's draws
    pod = Pod(env, Cores(env, servers), servers)
    waits: list[float] = []

    def call():  # noqa: ANN202 - steps, as in parts
        begin, work = env.now, source.expovariate(1 / mean)
        yield from pod.serve(work)
        waits.append(env.now - begin - work)

    def arrive():  # noqa: ANN202
        while env.now < seconds:
            yield env.timeout(source.expovariate(rate))
            env.process(call())

    env.process(arrive())
    env.run()
    return statistics.mean(waits)
