"""What the gateway does when callers ask for three times as much as its recognizers can do, and just after."""

import statistics
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from bench.gateway import sides
from bench.gateway.load import Failure, Ghz, Load, picture, say
from bench.gateway.sides import NAMES, Recognizers, Side, Stage
from tests.support.processes import run

SLOW_MS = 100
IN_FLIGHT = 8
BOUND = IN_FLIGHT * 1000 / SLOW_MS
"""Calls a second that are possible at most."""
RATE = 3 * BOUND
CALM_RATE, CALM_SECONDS = 10, 20
_CLOSED = Load(400, IN_FLIGHT, 1000)
_PHASE = 10_000_000
"""Numbers of pictures in each phase."""

Report: TypeAlias = "dict[str, float]"


@dataclass(frozen=True)
class Call:
    """One call of the load, in milliseconds since its begin."""

    begin: float
    latency: float
    code: str
    results: int

    @property
    def is_good(self) -> bool:
        """Return whether all recognizers answered."""
        return self.code == "OK" and self.results == len(NAMES)


def measured(stage: Stage, ghz: Ghz, seconds: int) -> tuple[dict[str, Report], dict[str, list[int]]]:
    """Return a report on each gateway, and how many calls ended well in each second."""
    reports, timelines = {}, {}
    with sides.recognizers(stage, SLOW_MS) as slow:
        for root in sides.roots(stage):
            with sides.gateway(stage, slow, root, max_in_flight=IN_FLIGHT) as side:
                say(f"overload of {side.name}, {RATE:.0f} calls a second for {seconds} s")
                reports[side.name], calls = _report(stage, ghz, side, slow, seconds)
                ends = Counter(int(call.begin + call.latency) // 1000 for call in calls if call.is_good)
                timelines[side.name] = [ends[second] for second in range(seconds)]
    return reports, timelines


def _report(stage: Stage, ghz: Ghz, side: Side, behind: Recognizers, seconds: int) -> tuple[Report, list[Call]]:
    best = _closed(ghz, side)
    calm = _load(stage, side, CALM_RATE, CALM_SECONDS, 1)
    unloaded = _percentile([call.latency for call in calm], 99)
    with _memory(side) as samples:
        before = behind.counts()
        calls = _load(stage, side, RATE, seconds, 2)
        made = max(now[0] - old[0] for now, old in zip(behind.counts(), before, strict=True))
    after = _load(stage, side, CALM_RATE, CALM_SECONDS, 3)
    good = [call.latency for call in calls if call.is_good]
    refused = [call.latency for call in calls if call.code == "ResourceExhausted"]
    if made > len(calls) - len(refused):
        raise Failure(f"{side.name} asked recognizers for {made} pictures in {len(calls)} calls.")
    kinds = Counter(call.code for call in (*calm, *calls, *after))
    report = {
        "possible at most, calls/s": BOUND,
        f"{IN_FLIGHT} callers without others, calls/s": best,
        "unloaded, p99 ms": unloaded,
        "offered, calls/s": len(calls) / seconds,
        "goodput, calls/s": len(good) / seconds,
        f"goodput / that of {IN_FLIGHT} callers": len(good) / seconds / best,
        "good calls, p50 ms": _percentile(good, 50),
        "good calls, p99 ms": _percentile(good, 99),
        "good calls, p99 / unloaded": _percentile(good, 99) / unloaded,
        "refused": len(refused),
        "refused, p50 ms": _percentile(refused, 50),
        "refused, p99 ms": _percentile(refused, 99),
        "answered with less than all results": sum(call.code == "OK" and not call.is_good for call in calls),
        "other errors": sum(kinds.values()) - kinds["OK"] - kinds["ResourceExhausted"],
        "resident after 5 s, MiB": samples[min(10, len(samples) - 1)],
        "resident at most, MiB": max(samples),
        "seconds until normal": _recovery(after, unloaded),
    }
    return report, calls


def _closed(ghz: Ghz, side: Side) -> float:
    """Return the calls a second of as many callers as there are places, each of whom waits for the answer."""
    latencies = ghz.call(side.address, _CLOSED, [picture(_CLOSED.size) for _ in range(_CLOSED.calls)], may_refuse=True)
    return IN_FLIGHT * 1000 / statistics.mean(latencies)


def _load(stage: Stage, side: Side, rate: float, seconds: int, phase: int) -> list[Call]:
    """Call at a rate, whatever becomes of the calls. Raises Failure if that is not possible here."""
    options = {"address": side.address, "rate": rate, "duration": f"{seconds}s", "first": phase * _PHASE}
    done = run([stage.programs / "load", *(f"-{key}={value}" for key, value in options.items())])
    if done.returncode:
        raise Failure(done.stderr)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    calls = [Call(int(begin) / 1e3, int(taken) / 1e3, code, int(results)) for begin, taken, code, results in rows]
    late = max(call.begin - number * 1000 / rate for number, call in enumerate(calls))
    if late > SLOW_MS * IN_FLIGHT:
        raise Failure(f"The load itself was {late:.0f} ms late: this machine has too much to do.")
    return calls


def _recovery(calls: Sequence[Call], unloaded: float) -> float:
    """Return the seconds until a call began after which all were good, and not much slower than without load."""
    bad = [call.begin for call in calls if not call.is_good or call.latency > 1.5 * unloaded]
    return min((call.begin for call in calls if call.begin > max(bad, default=-1)), default=float("inf")) / 1000


@contextmanager
def _memory(side: Side) -> Iterator[list[float]]:
    """Yield the side's resident memory, of which there is a value every half second."""
    samples, end = [side.memory_mib()], threading.Event()

    def sample() -> None:
        while not end.wait(0.5):
            samples.append(side.memory_mib())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        end.set()
        thread.join()


def _percentile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)] if values else float("nan")
