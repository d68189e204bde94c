"""What the simulated system is made of, cores, pods and fleets of pods, and what happens to a picture in it."""

import itertools
import random
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

import simpy

from bench.simulate.service_times import Distribution

_BEFORE = 0.6
"""Share of the gateway's CPU that a picture takes before the recognizers are called."""
_SHED_CPU = 0.0005
"""Seconds of CPU for a call that the gateway refuses before it reads the picture."""


Steps: TypeAlias = Generator[simpy.Event, Any, Any]


class Lost(Exception):
    """The pod is gone, and its connections were reset."""


class Cores:
    """CPU cores. Work runs to its end, or in turn with other work where there is a slice of time."""

    def __init__(self, env: simpy.Environment, number: int, slice_seconds: float = float("inf")) -> None:
        self._env = env
        self._cores = simpy.Resource(env, number)
        self._slice = slice_seconds

    def run(self, seconds: float) -> Steps:
        """Take so many seconds of one core."""
        while seconds > 0:
            part = min(seconds, self._slice)
            with self._cores.request() as core:
                yield core
                yield self._env.timeout(part)
            seconds -= part


class Pod:
    """A server: worker threads on cores. What waits for a worker leaves at once when its caller does."""

    def __init__(self, env: simpy.Environment, cores: Cores, workers: int) -> None:
        self.env = env
        self.gone = env.event()
        self._cores = cores
        self._workers = simpy.Resource(env, workers)

    def serve(self, seconds: float) -> Steps:
        """Do a piece of work that takes so many seconds of a core."""
        with self._workers.request() as worker:
            yield worker
            yield from self._cores.run(seconds)


class Fleet:
    """A component's pods, spread over zones, called in turn."""

    def __init__(self, cpu: Distribution, pods: list[Pod], zones: int = 3) -> None:
        self._cpu = cpu
        self._pods = pods
        self._zones = zones
        self._turn = itertools.cycle(pods)

    def choose(self) -> Pod:
        """Return the next pod."""
        return next(self._turn)

    def draw(self, source: random.Random) -> float:
        """Return the seconds of CPU that the next picture takes."""
        return self._cpu.draw(source)

    def lose_zone(self) -> None:
        """Take the first zone's pods away: calls in them fail, further ones go to the others."""
        lost, self._pods = (
            self._pods[:: self._zones],
            [pod for place, pod in enumerate(self._pods) if place % self._zones],
        )
        self._turn = itertools.cycle(self._pods)
        for pod in lost:
            pod.gone.succeed()


def fleet(env: simpy.Environment, cpu: Distribution, pods: int, workers: int = 1, cores: Cores | None = None) -> Fleet:
    """Return pods with a core for each worker, or all on the same cores of one machine."""
    return Fleet(cpu, [Pod(env, cores or Cores(env, workers), workers) for _ in range(pods)])


class Policy(Enum):
    """As the contract has them."""

    ALL = "ALL"
    FIRST_CONFIDENT = "FIRST_CONFIDENT"
    CASCADE = "CASCADE"


class Outcome(Enum):
    """As the contract has them, as far as the model makes them."""

    OK = "OK"
    TIMEOUT = "TIMEOUT"
    SHED = "SHED"
    ERROR = "ERROR"


@dataclass
class Recognizer:
    """A recognizer's pods, and how the gateway calls it."""

    fleet: Fleet
    sure: float = 0
    """Share of the pictures that it settles under FIRST_CONFIDENT and CASCADE."""
    away: Distribution | None = None
    """What it waits for elsewhere, as for Amazon, without a worker."""
    elsewhere: Fleet | None = None
    """Or another server here, which takes CPU."""
    timeout: float = 10
    max_in_flight: int = 10**9
    in_flight: int = 0
    priced: bool = False


@dataclass
class Answer:
    """What became of a picture, in seconds since the beginning."""

    begin: float
    end: float = 0
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    """Of each recognizer that answered."""
    refused: bool = False
    lost: bool = False
    """Whether the gateway's pod was gone before the answer."""

    @property
    def whole(self) -> bool:
        """Whether every recognizer that was asked answered."""
        return not (self.refused or self.lost) and all(one is Outcome.OK for one in self.outcomes.values())


@dataclass
class System:
    """All of it. `max_in_flight` is the whole gateway's limit."""

    env: simpy.Environment
    gateway: Fleet
    recognizers: Mapping[str, Recognizer]
    policy: Policy = Policy.ALL
    cached: float = 0
    """Share of the pictures whose answers the gateway still has."""
    max_in_flight: int = 10**9
    client: Fleet | None = None
    """Callers on the same machine, which take CPU, too."""
    source: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311 - a simulation's draws
    answers: list[Answer] = field(default_factory=list)
    in_flight: int = 0
    fragile: bool = False
    """Whether pods may be lost, which takes more events."""

    def arrive(self, times: Sequence[float]) -> Steps:
        """Start a call at each of these times."""
        for time in times:
            yield self.env.timeout(time - self.env.now)
            self.env.process(self._call())

    def _call(self) -> Steps:
        answer = Answer(self.env.now)
        self.answers.append(answer)
        pod = self.gateway.choose()
        if self.client:
            yield from self.client.choose().serve(self.client.draw(self.source) / 2)
        self.in_flight += 1
        try:
            yield from self._recognize(pod, answer)
        except Lost:
            answer.lost = True
        finally:
            self.in_flight -= 1
        if self.client:
            yield from self.client.choose().serve(self.client.draw(self.source) / 2)
        answer.end = self.env.now

    def _recognize(self, pod: Pod, answer: Answer) -> Steps:
        if self.in_flight > self.max_in_flight:
            answer.refused = True
            yield from pod.serve(_SHED_CPU)
            return
        seconds = self.gateway.draw(self.source)
        yield from self._or_lost(pod, pod.serve(seconds * _BEFORE))
        if self.source.random() >= self.cached:
            ask = self._ask_in_turn if self.policy is Policy.CASCADE else self._ask_all
            yield from self._or_lost(pod, ask(answer))
        yield from self._or_lost(pod, pod.serve(seconds * (1 - _BEFORE)))

    def _ask_in_turn(self, answer: Answer) -> Steps:
        for name, recognizer in self.recognizers.items():
            yield from self._ask(name, recognizer, answer)
            if self._settles(recognizer, answer.outcomes[name]):
                return

    def _ask_all(self, answer: Answer) -> Steps:
        asked = {self.env.process(self._ask(name, one, answer)): (name, one) for name, one in self.recognizers.items()}
        waiting = set(asked)
        while waiting:
            done = yield simpy.AnyOf(self.env, waiting)
            for process in done:
                waiting.discard(process)
                name, recognizer = asked[process]
                if self.policy is Policy.FIRST_CONFIDENT and self._settles(recognizer, answer.outcomes[name]):
                    for late in waiting:
                        late.interrupt()
                    return

    def _settles(self, recognizer: Recognizer, outcome: Outcome) -> bool:
        return outcome is Outcome.OK and self.source.random() < recognizer.sure

    def _ask(self, name: str, recognizer: Recognizer, answer: Answer) -> Steps:
        begin = self.env.now
        if recognizer.in_flight >= recognizer.max_in_flight:
            answer.outcomes[name] = Outcome.SHED
            return
        recognizer.in_flight += 1
        try:
            answer.outcomes[name] = yield from self._attempts(recognizer)
        except simpy.Interrupt:
            return
        finally:
            recognizer.in_flight -= 1
        answer.seconds[name] = self.env.now - begin

    def _attempts(self, recognizer: Recognizer) -> Steps:
        """Call it, and once more at another pod if the first one is gone, unless that may cost twice."""
        work = self.env.process(self._work(recognizer))
        late = self.env.timeout(recognizer.timeout)
        try:
            yield work | late
        except simpy.Interrupt:
            if work.is_alive:
                work.interrupt()
            raise
        if work.is_alive:
            work.interrupt()
            return Outcome.TIMEOUT
        return work.value

    def _work(self, recognizer: Recognizer) -> Steps:
        for _ in range(1 if recognizer.priced else 2):
            pod = recognizer.fleet.choose()
            try:
                yield from self._or_lost(pod, self._serve(recognizer, pod))
            except Lost:
                continue
            except simpy.Interrupt:
                return Outcome.TIMEOUT
            return Outcome.OK
        return Outcome.ERROR

    def _serve(self, recognizer: Recognizer, pod: Pod) -> Steps:
        yield from pod.serve(recognizer.fleet.draw(self.source))
        if recognizer.elsewhere:
            yield from recognizer.elsewhere.choose().serve(recognizer.elsewhere.draw(self.source))
        if recognizer.away:
            yield self.env.timeout(recognizer.away.draw(self.source))

    def _or_lost(self, pod: Pod, steps: Steps) -> Steps:
        """Do these steps unless the pod is lost. Raises Lost."""
        if not self.fragile:
            yield from steps
            return
        if pod.gone.triggered:
            raise Lost
        work = self.env.process(_stoppable(steps))
        try:
            yield work | pod.gone
        except simpy.Interrupt:
            if work.is_alive:
                work.interrupt()
            raise
        if work.is_alive:
            work.interrupt()
            raise Lost


def _stoppable(steps: Steps) -> Steps:
    try:
        yield from steps
    except simpy.Interrupt:
        return
