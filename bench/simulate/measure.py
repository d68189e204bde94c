"""Measure on this machine what a picture costs each server, in seconds of CPU, for the model to draw from."""

import asyncio
import io
import itertools
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image, ImageEnhance

from bench.simulate.service_times import Distribution, Measured
from marquee import AsyncClient
from tests.support.processes import LocalSystem, local_system

PROCESSES = {
    "gateway": ("gateway",),
    "svm": ("svm",),
    "keras": ("keras", "tf-serving"),
    "rekognition": ("rekognition",),
    "amazon": ("aws-rekognition",),
}
"""Role of the model → the local system's processes that play it."""
_RECOGNIZERS = ("svm", "keras", "rekognition")
_WARM = 10


def measure(count: int) -> Measured:
    """Return the CPU time of `count` pictures in each role, asked one by one of an otherwise idle system."""
    with tempfile.TemporaryDirectory() as folder, local_system(Path(folder)) as system:
        return asyncio.run(_measure(system, count))


async def _measure(system: LocalSystem, count: int) -> Measured:
    pictures = various(system)
    samples: dict[str, list[float]] = {role: [] for role in (*PROCESSES, "client")}
    for name in _RECOGNIZERS:
        async with AsyncClient(system.address(name)) as client:
            for number in range(-_WARM, count):
                spent = await _spent(client, next(pictures), system)
                for role in ("rekognition", "amazon") if name == "rekognition" else (name,):
                    samples[role] += [spent[role]] if number >= 0 else []
    async with AsyncClient(system.address("gateway")) as client:
        for number in range(-_WARM, count):
            spent = await _spent(client, next(pictures), system)
            for role in ("gateway", "client"):
                samples[role] += [spent[role]] if number >= 0 else []
    cpu = {role: Distribution.of(times) for role, times in samples.items()}
    return Measured(datetime.now(UTC).date().isoformat(), f"{os.cpu_count()} cores, {_processor()}", count, cpu)


async def _spent(client: AsyncClient, picture: bytes, system: LocalSystem) -> dict[str, float]:
    """Recognize the picture; return the seconds of CPU that each role took for it, with what it did afterwards."""
    before = cpu_seconds(system)
    await client.recognize(picture, timeout=60, no_cache=True)
    await asyncio.sleep(0.02)
    after = cpu_seconds(system)
    return {role: after[role] - before[role] for role in after}


def cpu_seconds(system: LocalSystem) -> dict[str, float]:
    """Return the seconds of CPU that each role has had, and this process as the client."""
    pids = system.facts["pids"]
    roles = {role: sum(_cpu_seconds(pids[name]) for name in names) for role, names in PROCESSES.items()}
    return roles | {"client": time.process_time()}


def _cpu_seconds(pid: int) -> float:
    """Return a process's time on the CPU, to the nanosecond; the kernel counts by thread."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def various(system: LocalSystem) -> Iterator[bytes]:
    """Yield pictures of two people, one or nobody without end; no two are the same bytes."""
    originals = [
        Image.open(io.BytesIO(system.picture(f"{name}.jpg"))) for name in ("both", "collins", "hopper", "coffee")
    ]
    for number, original in enumerate(itertools.cycle(originals)):
        buffer = io.BytesIO()
        ImageEnhance.Brightness(original).enhance(0.9 + number % 997 / 5000).save(buffer, "JPEG", quality=90)
        yield buffer.getvalue()


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
