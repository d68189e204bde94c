"""What a call costs the gateway: processor time, time added to the recognizers' own, and memory."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TypeAlias

from bench.gateway import sides
from bench.gateway.load import Ghz, Load, measure, picture, say
from bench.gateway.platforms.processes import platforms
from bench.gateway.sides import Recognizers, Side, Stage

LOADS = (Load(400, 16, 100_000), Load(200, 1, 100_000), Load(100, 8, 1_000_000), Load(1000, 16, 1000))
SLOW_MS = 20
"""What a recognizer takes where the time that is added is measured."""
SLOW = Load(100, 1, 100_000)
LARGE = Load(192, 64, 1_000_000)
ROOMS = (256, 1024)
"""MARQUEE_MAX_IN_FLIGHT_MIB where memory is measured: the default, and what 64 requests need to be received at once."""

CPU_MS = ", CPU-ms a call"
Values: TypeAlias = "dict[str, list[float]]"
"""Side → a value of each round."""


def measured(stage: Stage, ghz: Ghz, pairs: int) -> Iterator[tuple[str, Values]]:
    """Yield what is measured, and its values."""
    with sides.recognizers(stage) as quick, _with_platforms(stage, quick) as started:
        for load in LOADS:
            say(f"processor time, {load}")
            yield f"{load}{CPU_MS}", rounds(started, pairs, partial(_cpu_ms, ghz, load, quick))
    say(f"time added to recognizers of {SLOW_MS} ms")
    with sides.recognizers(stage, SLOW_MS) as slow, sides.all_sides(stage, slow) as started:
        added = rounds(started, pairs, partial(_added_ms, ghz, slow))
        yield f"{SLOW}, ms added to recognizers of {SLOW_MS} ms, p50", added
    for room in ROOMS:
        where = f"{LARGE}, room for {room} MiB of requests"
        say(f"memory, {where}")
        peaks, refused = _memory(stage, ghz, room)
        yield f"{where}, MiB resident at most", peaks
        yield f"{where}, refused of {LARGE.calls} calls", refused


@contextmanager
def _with_platforms(stage: Stage, behind: Recognizers) -> Iterator[list[Side]]:
    with ExitStack() as stack:
        others = [stack.enter_context(one) for one in platforms(stage, behind)]
        go, aio, *gateways = stack.enter_context(sides.all_sides(stage, behind))
        yield [go, aio, *others, *gateways]


def rounds(started: Sequence[Side], pairs: int, measure_one: Callable[[Side], float]) -> Values:
    """Return each side's values, round by round; the sides take turns in being first, and the first round warms up."""
    values: Values = {side.name: [] for side in started}
    for number in range(-1, pairs):
        first = number % len(started)
        for side in (*started[first:], *started[:first]):
            value = measure_one(side)
            if number >= 0:
                values[side.name].append(value)
    return values


def _cpu_ms(ghz: Ghz, load: Load, behind: Recognizers, side: Side) -> float:
    return measure(ghz, side, load, behind)[0]


def _added_ms(ghz: Ghz, behind: Recognizers, side: Side) -> float:
    """Return the median milliseconds of a call, less that of calls without anything between."""
    through = statistics.median(measure(ghz, side, SLOW, behind)[1])
    content = [picture(SLOW.size) for _ in range(SLOW.calls)]
    return through - statistics.median(ghz.call(behind.targets[0], SLOW, content))


def _memory(stage: Stage, ghz: Ghz, room: int) -> tuple[Values, Values]:
    """Return the peak of each side's resident memory, in a process without other calls, and how many it refused."""
    peaks, refused = {}, {}
    with sides.recognizers(stage) as quick, sides.all_sides(stage, quick, room) as started:
        for side in started:
            content = [picture(LARGE.size) for _ in range(LARGE.calls)]
            answered = ghz.call(side.address, LARGE, content, may_refuse=True)
            peaks[side.name] = [side.memory_mib("VmHWM")]
            refused[side.name] = [float(LARGE.calls - len(answered))]
    return peaks, refused
