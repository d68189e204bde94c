"""The same fan-out in serving platforms, each in a Python environment of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.gateway.sides import Recognizers, Side, Stage, environment, free_address, wait_for
from bench.gateway.wire import InferenceWire
from tests.support.processes import ROOT, free_port, run, spawn

_RAY_ROLES = ("ray::ProxyActor", "ray::ServeReplica")
_MODEL = "fanout"


def platforms(stage: Stage, behind: Recognizers) -> list[Any]:
    """Return what starts each platform that the stage has."""
    started = [ray_serve(stage.ray, behind)] if stage.ray else []
    return started + ([mlserver(stage.mlserver, stage.folder, behind)] if stage.mlserver else [])


@contextmanager
def ray_serve(python: Path, behind: Recognizers) -> Iterator[Side]:
    """Start the fan-out in Ray Serve."""
    address, http_port, own = free_address(), free_port(), {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    command = [str(python), "-m", "bench.gateway.platforms.ray_serve", address.rpartition(":")[2], str(http_port)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with spawn([*command, *behind.targets], env=environment(ROOT) | own, **pipes) as process:
        if not any(b"serving" in line for line in process.stdout or ()):
            sys.exit(f"{python} does not serve. Has it ray[serve]?")
        try:
            yield RaySide("Ray Serve", address, process)
        finally:
            process.terminate()
            process.wait(60)


class RaySide(Side):
    """Ray Serve, of whose processes the proxy and the replica count, and not those that look after them."""

    def _pids(self) -> Sequence[int]:
        return [pid for pid in _below(self.process.pid) if _command(pid).startswith(_RAY_ROLES)]


def _below(pid: int) -> Iterator[int]:
    """Yield the processes that a process started, and those that they started."""
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            yield child
            yield from _below(child)


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


@contextmanager
def mlserver(python: Path, folder: Path, behind: Recognizers) -> Iterator[Side]:
    """Start the fan-out in MLServer, in a single process."""
    contract, address = folder / "inference.binpb", free_address()
    run([python, "-m", "bench.gateway.platforms.mlserver_runtime", contract], cwd=ROOT, env=environment(ROOT))
    settings = {
        "host": "127.0.0.1",
        "grpc_port": int(address.rpartition(":")[2]),
        "http_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": 0,
        "debug": False,
        "grpc_max_message_length": 16 << 20,
    }
    model = {
        "name": _MODEL,
        "implementation": "bench.gateway.platforms.mlserver_runtime.Fanout",
        "parameters": {"extra": {"targets": list(behind.targets)}},
    }
    files = {"settings": settings, "model-settings": model}
    (folder / _MODEL).mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / _MODEL / f"{name}.json").write_text(json.dumps(content))
    command = [str(python.with_name("mlserver")), "start", str(folder / _MODEL)]
    silent = subprocess.DEVNULL
    with spawn(command, cwd=ROOT, env=environment(ROOT), stdout=silent, stderr=silent) as process:
        wait_for(address)
        yield Side("MLServer", address, process, InferenceWire(contract, _MODEL))
