"""The processes that are compared: gateways, and bare fan-outs, each in front of the same three recognizers in Go."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from bench.checkouts import listens
from bench.gateway.wire import OURS, Wire
from tests.support import golang
from tests.support.processes import ROOT, cpu_seconds, free_port, memory_mib, spawn, wait_until

NAMES = ("one", "two", "three")
"""The recognizers."""
THIS = "gateway"
AIO = "bare grpc.aio"
SOURCES = Path(__file__).parent / "go"


@dataclass(frozen=True)
class Side:
    """A server under test."""

    name: str
    address: str
    process: subprocess.Popen[bytes]
    wire: Wire = OURS
    metrics_url: str | None = None

    def cpu_ms(self) -> float:
        """Return the processor time that the process has had, which /proc counts in steps of 10 ms."""
        return 1000 * sum(map(cpu_seconds, self._pids()))

    def _pids(self) -> Sequence[int]:
        return [self.process.pid]

    def memory_mib(self, what: str = "VmRSS") -> float:
        """Return its resident memory, or with VmHWM the most so far."""
        return memory_mib(self.process.pid, what)

    def metric(self, *parts: str) -> float:
        """Return the sum of the metrics whose series have all of these parts; 0 for a bare server."""
        if self.metrics_url is None:
            return 0
        lines = [line for line in _get(self.metrics_url).splitlines() if not line.startswith("#")]
        return sum(float(line.rpartition(" ")[2]) for line in lines if all(part in line for part in parts))


@dataclass(frozen=True)
class Recognizers:
    """Three recognizers that are asked by all sides."""

    targets: Sequence[str]
    counters: Sequence[str]

    def counts(self) -> list[tuple[int, int]]:
        """Return calls, and different pictures in them, of each recognizer."""
        pages = [json.loads(_get(f"http://{counter}/debug/vars")) for counter in self.counters]
        return [(page["calls"], page["pictures"]) for page in pages]


@dataclass(frozen=True)
class Stage:
    """What processes are started from."""

    programs: Path
    """Folder of the programs in Go."""
    folder: Path
    """Folder for files of configuration."""
    today: Path | None
    """Checkout of the earlier gateway, if one is compared."""
    ray: Path | None = None
    """Python with Ray Serve, if that is compared."""
    mlserver: Path | None = None
    """Python with MLServer, if that is compared."""


def build(folder: Path) -> Path:
    """Build the programs in Go below `folder` and return where they are."""
    return golang.build(folder, SOURCES, f"./{SOURCES.name}/...")


@contextmanager
def recognizers(stage: Stage, delay_ms: int = 0) -> Iterator[Recognizers]:
    """Start three recognizers that take so long for a picture."""
    with ExitStack() as stack:
        started = [stack.enter_context(_recognizer(stage.programs, name, delay_ms)) for name in NAMES]
        targets, counters = zip(*started, strict=True)
        yield Recognizers(targets, counters)


@contextmanager
def all_sides(stage: Stage, behind: Recognizers, memory_mib: int = 256) -> Iterator[list[Side]]:
    """Start all in front of the same recognizers: two bare fan-outs, an earlier gateway if any, this one."""
    with ExitStack() as stack:
        started = [bare_go(stage, behind), bare_aio(behind)]
        started += [gateway(stage, behind, root, memory_mib=memory_mib) for root in roots(stage)]
        yield [stack.enter_context(one) for one in started]


def roots(stage: Stage) -> list[Path]:
    """Return the checkouts whose gateways are measured; this one comes last."""
    return [stage.today, ROOT] if stage.today else [ROOT]


@contextmanager
def _recognizer(programs: Path, name: str, delay_ms: int) -> Iterator[tuple[str, str]]:
    target, counter = free_address(), free_address()
    command = [str(programs / "recognizer"), "-listen", target, "-counter", counter, "-name", name]
    with spawn([*command, "-delay", f"{delay_ms}ms"]):
        wait_for(target)
        wait_for(counter)
        yield target, counter


@contextmanager
def bare_go(stage: Stage, behind: Recognizers) -> Iterator[Side]:
    """Start the fan-out in Go."""
    address = free_address()
    with spawn([stage.programs / "fanout", "-listen", address, *behind.targets]) as process:
        wait_for(address)
        yield Side("bare Go", address, process)


@contextmanager
def bare_aio(behind: Recognizers | None) -> Iterator[Side]:
    """Start the fan-out in grpc.aio; without recognizers, the echo that hashes the picture."""
    address = free_address()
    targets = behind.targets if behind else ()
    with spawn([sys.executable, "-m", "bench.gateway.aio", address, *targets], env=environment(ROOT)) as process:
        wait_for(address)
        yield Side(AIO if behind else "echo", address, process)


@contextmanager
def gateway(
    stage: Stage, behind: Recognizers, root: Path = ROOT, *, max_in_flight: int = 256, memory_mib: int = 256
) -> Iterator[Side]:
    """Start the gateway of a checkout, with everything on that is so by default, and room for calls and requests.

    This checkout's has a table of calibration, too.
    """
    name = THIS if root == ROOT else "before"
    config = stage.folder / f"{name}.yaml"
    entries: dict[str, Any] = {
        recognizer: {"target": target, "max_in_flight": max_in_flight}
        for recognizer, target in zip(NAMES, behind.targets, strict=True)
    }
    content: dict[str, Any] = {"recognizers": entries}
    if root == ROOT:
        content["calibration"] = {"table": str(_table(stage.folder))}
    YAML(typ="safe").dump(content, config)
    address, metrics_port = free_address(), free_port()
    settings = {"GATEWAY_CONFIG": config, "PORT": address.rpartition(":")[2], "METRICS_PORT": metrics_port}
    settings["MAX_IN_FLIGHT_MIB"] = memory_mib
    own = environment(root) | {f"MARQUEE_{key}": str(value) for key, value in settings.items()}
    command = [sys.executable, "-m", "services.gateway"]
    with spawn(command, cwd=root, env=own, stderr=subprocess.DEVNULL) as process:
        wait_for(address)
        yield Side(name, address, process, metrics_url=f"http://127.0.0.1:{metrics_port}/metrics")


def _table(folder: Path) -> Path:
    """Write a table for the recognizers' models, and return its path."""
    curve = {"slope": 1.0, "intercept": 0.0, "most": 5.0}
    models = {name: {"model": name, "version": "1", "trained": curve} for name in NAMES}
    path = folder / "calibration.json"
    path.write_text(json.dumps({"recognizers": models}))
    return path


def environment(root: Path) -> dict[str, str]:
    """Return the variables of a Python that runs a checkout."""
    return os.environ | {"PYTHONPATH": str(root), "MARQUEE_LOG_FORMAT": "json"}


def free_address() -> str:
    """Return a loopback address at which nobody listens."""
    return f"127.0.0.1:{free_port()}"


def wait_for(address: str) -> None:
    """Wait until somebody listens there."""
    wait_until(lambda: listens(int(address.rpartition(":")[2])))


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as page:  # noqa: S310 - our own servers
        return str(page.read().decode())
