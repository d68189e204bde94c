"""Processes that tests start: commands, servers and the whole local system. None outlives the test run."""

import atexit
import functools
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from local.ports import is_free

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120
"""Seconds that a test waits for an event at most, even on a busy machine: a ceiling, not a measurement."""
MISSING_BUCKET = "marquee-missing"
"""Bucket that the settings allow but that does not exist."""
_PATIENT = {f"MARQUEE_REKOGNITION_{wait}_TIMEOUT_SECONDS": "60" for wait in ("CONNECT", "READ")}
"""Longer timeouts, because the stand-in for Rekognition shares the processor with all other tests."""


@contextmanager
def spawn(command: Sequence[str | Path], *, cwd: Path = ROOT, **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Start a process; yield it, and kill it and its children afterwards, even if this process is killed."""
    options = {"stdin": subprocess.DEVNULL} | options
    with (
        subprocess.Popen(command, cwd=cwd, start_new_session=True, **options) as process,
        guarded(process.pid),
    ):
        try:
            yield process
        finally:
            _kill_group(process.pid)


@contextmanager
def guarded(leader: int) -> Iterator[None]:
    """Have the process and its group killed if this process is killed meanwhile."""
    _notify_guard(f"+{leader}")
    try:
        yield
    finally:
        _notify_guard(f"-{leader}")


def run(command: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; return its exit code and output."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with spawn(command, **pipes | options) as process:
        output, error = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, output, error)


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


_GUARD = """
import os, signal, sys
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


def _notify_guard(message: str) -> None:
    print(message, file=_guard().stdin, flush=True)


@functools.cache
def _guard() -> subprocess.Popen[str]:
    """Start a process that kills the process groups reported to it once this process is gone."""
    command = [sys.executable, "-I", "-S", "-c", _GUARD]
    guard = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)
    atexit.register(guard.communicate)
    return guard


@dataclass(frozen=True)
class LocalSystem:
    """A running `python -m local`."""

    process: subprocess.Popen[bytes]
    state: Path

    @property
    def facts(self) -> dict[str, Any]:
        return json.loads((self.state / "stack.json").read_text())

    def address(self, server: str) -> str:
        return self.facts["servers"][server]

    def metrics_url(self, server: str) -> str:
        return f"http://{self.facts['metrics'][server]}/metrics"

    @property
    def state_home(self) -> Path:
        """XDG_STATE_HOME of its user."""
        return self.state / "home"

    @property
    def page_url(self) -> str:
        """The page's address, without a slash at its end."""
        return self.facts["page_url"]

    def picture(self, name: str) -> bytes:
        return (self.state / "pictures" / name).read_bytes()

    def environment(self, server: str) -> dict[str, str]:
        """Return the environment that the launcher gave to a part."""
        pid = self.facts["pids"][server]
        pairs = Path(f"/proc/{pid}/environ").read_text().split("\0")
        return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def memory_mib(pid: int, what: str = "VmRSS") -> float:
    """Return a process's resident memory, or with VmHWM its peak."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) / 1024


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has had, which /proc counts in steps of 10 ms."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def local_system(state: Path, *arguments: str) -> Iterator[LocalSystem]:
    """Start the system with its files below `state`; yield it when it serves, stop it afterwards.

    Commands find it by themselves if their XDG_STATE_HOME is its `state_home`.
    """
    (state / "stack.json").unlink(missing_ok=True)
    state.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "local", "--state", state, "--port", str(free_port())]
    command += ["--web-port", str(free_port()), *arguments]
    environment = os.environ | {"MARQUEE_S3_ALLOWED": MISSING_BUCKET} | _PATIENT
    environment["XDG_STATE_HOME"] = str(state / "home")
    with (
        (state / "launcher.log").open("wb") as log,
        spawn(command, env=environment, stdout=log, stderr=log) as process,
    ):
        wait_until(lambda: (state / "stack.json").exists() or process.poll() is not None, 2 * PATIENCE)
        assert process.poll() is None, (state / "launcher.log").read_text()
        try:
            yield LocalSystem(process, state)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)


@dataclass(frozen=True)
class Server:
    """A server that runs without the rest of the system."""

    process: subprocess.Popen[bytes]
    address: str
    metrics_url: str


@contextmanager
def server(module: str, environment: dict[str, str]) -> Iterator[Server]:
    """Start one server on free ports; yield it when it is SERVING."""
    port, metrics_port = free_port(), free_port()
    own = {"MARQUEE_PORT": str(port), "MARQUEE_METRICS_PORT": str(metrics_port), "MARQUEE_DRAIN_SECONDS": str(PATIENCE)}
    command = [sys.executable, "-m", module]
    with spawn(command, env=environment | own, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: serving(f"127.0.0.1:{port}") or process.poll() is not None)
        yield Server(process, f"127.0.0.1:{port}", f"http://127.0.0.1:{metrics_port}/metrics")


_HANGUP = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "grpc":
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGHUP)
sys.meta_path.insert(0, Finder())
"""


def with_early_hangup(folder: Path) -> dict[str, str]:
    """Return the variables under which a process of Python gets SIGHUP as it begins to import gRPC."""
    (folder / "sitecustomize.py").write_text(_HANGUP)
    return {"PYTHONPATH": str(folder)}


def serving(address: str) -> bool:
    """Return whether a gRPC server at the address reports SERVING."""
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def wait_until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait for the condition; fail the test if it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def metric(url: str, name: str, labels: str) -> float:
    """Return the value of the metric's series whose labels contain the text; 0 if there is none."""
    with urllib.request.urlopen(url, timeout=PATIENCE) as page:  # noqa: S310 - our own server
        lines = page.read().decode().splitlines()
    series = [line for line in lines if line.startswith(f"{name}{{") and labels in line]
    return float(series[0].rpartition(" ")[2]) if series else 0.0


def free_port() -> int:
    """Return a loopback port that nobody listens on, another one each time.

    It is another process's of the test run neither, nor one that local systems choose or the kernel gives.
    """
    return next(port for port in _ports if is_free(port))


def _own_ports() -> Iterator[int]:
    """Return this process's ports again and again, beginning anywhere, since other runs have the same."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = range(10_000 + worker % _WORKERS, 20_000, _WORKERS)
    return islice(cycle(ports), random.SystemRandom().randrange(len(ports)), None)


_WORKERS = 8
_ports = _own_ports()


def train_python() -> str:
    """Return the training environment's Python; skip the test if it does not exist."""
    python = os.environ.get("MARQUEE_TRAIN_PYTHON") or ROOT / ".venv-train/bin/python"
    if not Path(python).exists():
        pytest.skip(f"{python} is not there: `make train-env` makes it, MARQUEE_TRAIN_PYTHON names another")
    return str(python)


def run_module(module: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m MODULE ARGUMENTS` in the training environment."""
    command = [train_python(), "-m", module, *map(str, arguments)]
    return run(command, env=os.environ | environment)
