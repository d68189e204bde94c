"""Compare the model with a real gateway on this machine, asked equally often at random moments."""

import asyncio
import io
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import simpy
from PIL import Image

from bench.simulate import slow
from bench.simulate.measure import cpu_seconds, various
from bench.simulate.runs import RECOGNIZERS, arrivals, build_machine, latencies, quantile, simulate
from bench.simulate.service_times import Measured
from bench.simulate.system import Recognizer, System, fleet
from marquee import AsyncClient, MarqueeError
from tests.support.processes import LocalSystem, local_system, server

SHARES = (0.5, 0.9, 0.95)
_LONG = 20
"""Times as long the model runs, whose own noise is then little."""


@dataclass(frozen=True)
class Comparison:
    """Whole answers a second and their seconds at SHARES, measured and simulated."""

    what: str
    rate: float
    pictures: int
    measured: Sequence[float]
    simulated: Sequence[float]

    def rows(self) -> Iterator[str]:
        """Yield rows of a table."""
        names = ("answers a second", *(f"p{share * 100:.0f}, ms" for share in SHARES))
        for name, real, model in zip(names, self.measured, self.simulated, strict=True):
            unit = 1 if "second" in name else 1000
            figures = f"{unit * real:.1f} | {unit * model:.1f} | {model / real - 1:+.0%}"
            yield f"| {self.what}, {self.rate:g}/s | {name} | {figures} |"


def waiting(measured: Measured, rate: float, seconds: float, places: int) -> Comparison:
    """Compare with a gateway in front of three recognizers that only wait, with so many places for calls."""
    with tempfile.TemporaryDirectory() as folder, _slow_system(Path(folder), places) as address:
        real = asyncio.run(_ask(address, _small_pictures(int(2 * rate * seconds)), rate, seconds))

    def make(env: simpy.Environment) -> System:
        gateway = fleet(env, measured.cpu["gateway"], 1)
        recognizers = {
            name: Recognizer(fleet(env, slow.seconds(), 1, slow.WORKERS), max_in_flight=places) for name in RECOGNIZERS
        }
        return System(env, gateway, recognizers, max_in_flight=places)

    model = simulate(make, rate, _LONG * seconds)
    whole = [one.end - one.begin for one in model if one.whole]
    what = f"recognizers that wait, {places} places"
    return Comparison(what, rate, len(real), _figures(real, seconds), _figures(whole, _LONG * seconds))


def machine(measured: Measured, rate: float, seconds: float) -> tuple[Comparison, float]:
    """Compare with the local system, all of whose parts share the cores; return what else ran, too, in cores."""
    with tempfile.TemporaryDirectory() as folder, local_system(Path(folder)) as system:
        pictures = various(system)
        own, all_, begin = _own(system), _machine_seconds(), time.perf_counter()
        contents = [next(pictures) for _ in range(int(2 * rate * seconds))]
        real = asyncio.run(_ask(system.address("gateway"), contents, rate, seconds))
        passed = time.perf_counter() - begin
        others = (_machine_seconds() - all_ - (_own(system) - own)) / passed
    make = partial(build_machine, measured=measured, cores=len(os.sched_getaffinity(0)))
    model = latencies(simulate(make, rate, _LONG * seconds))
    figures = _figures(real, seconds), _figures(model, _LONG * seconds)
    return Comparison("the local system", rate, len(real), *figures), others


@contextmanager
def _slow_system(folder: Path, places: int) -> Iterator[str]:
    """Run it; yield the gateway's address."""
    with ExitStack() as stack:
        leaves = [
            stack.enter_context(server(slow.__name__, dict(os.environ) | {"MARQUEE_HOST": "127.0.0.1"}))
            for _ in RECOGNIZERS
        ]
        entries = {
            name: {"target": leaf.address, "max_in_flight": places}
            for name, leaf in zip(RECOGNIZERS, leaves, strict=True)
        }
        file = folder / "gateway.yaml"
        file.write_text(json.dumps({"recognizers": entries, "cache": {"mib": 0}}))
        yield stack.enter_context(
            server("services.gateway", dict(os.environ) | {"MARQUEE_GATEWAY_CONFIG": str(file)})
        ).address


async def _ask(address: str, contents: Sequence[bytes], rate: float, seconds: float) -> list[float]:
    """Return the seconds of the calls that were answered in whole."""
    async with AsyncClient(address) as client:
        for content in contents[-20:]:
            await client.recognize(content, timeout=60, no_cache=True)
        begin, calls = time.perf_counter(), []
        for at, content in zip(arrivals(rate, seconds, 2), contents, strict=False):
            await asyncio.sleep(max(0, begin + at - time.perf_counter()))
            calls.append(asyncio.create_task(_seconds(client, content, begin + at)))
        return [one for one in await asyncio.gather(*calls) if one is not None]


async def _seconds(client: AsyncClient, content: bytes, begin: float) -> float | None:
    try:
        recognition = await client.recognize(content, timeout=60, no_cache=True)
    except MarqueeError:
        return None
    is_whole = all(result.outcome.name == "OK" for result in recognition.results)
    return time.perf_counter() - begin if is_whole else None


def _figures(whole: Sequence[float], seconds: float) -> list[float]:
    return [len(whole) / seconds, *(quantile(whole, share) for share in SHARES)]


def _small_pictures(count: int) -> list[bytes]:
    """Return JPEGs of one colour each."""
    pictures = []
    for number in range(count):
        buffer = io.BytesIO()
        Image.new("RGB", (64, 64), (number % 256, number // 256, 0)).save(buffer, "JPEG")
        pictures.append(buffer.getvalue())
    return pictures


def _own(system: LocalSystem) -> float:
    return sum(cpu_seconds(system).values())


def _machine_seconds() -> float:
    """Return the seconds of CPU of everything on this machine, but waiting and idling."""
    user, nice, kernel, _, _, irq, soft = map(int, Path("/proc/stat").read_text("utf-8").split()[1:8])
    return (user + nice + kernel + irq + soft) / os.sysconf("SC_CLK_TCK")
