"""The local system and its parts as processes, for tests that use them as a user does."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

ROOT = Path(__file__).resolve().parents[2]
MISSING_BUCKET = "marquee-missing"
"""Allowed in the settings, and not there."""


@dataclass(frozen=True)
class LocalSystem:
    """A running `python -m local`."""

    process: subprocess.Popen[bytes]
    state: Path

    @property
    def facts(self) -> dict[str, dict[str, str]]:
        return json.loads((self.state / "stack.json").read_text())

    def address(self, server: str) -> str:
        return self.facts["servers"][server]

    def metrics_url(self, server: str) -> str:
        return f"http://{self.facts['metrics'][server]}/metrics"

    def picture(self, name: str) -> bytes:
        return (self.state / "pictures" / name).read_bytes()

    def environment(self, server: str) -> dict[str, str]:
        """The environment that the launcher gave to a part."""
        pid = self.facts["pids"][server]
        pairs = Path(f"/proc/{pid}/environ").read_text().split("\0")
        return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def memory_mib(pid: int, what: str = "VmRSS") -> float:
    """A process's resident memory, or with VmHWM the most that it had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) / 1024


@contextmanager
def local_system(state: Path) -> Iterator[LocalSystem]:
    """Starts the system with its files below `state`; yields when it serves, ends it afterwards."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "launcher.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "local", "--state", str(state), "--port", str(free_port())],
            cwd=ROOT,
            env=os.environ | {"MARQUEE_S3_ALLOWED": MISSING_BUCKET},
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: (state / "stack.json").exists() or process.poll() is not None, 90)
        assert process.poll() is None, (state / "launcher.log").read_text()
        yield LocalSystem(process, state)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


@dataclass(frozen=True)
class Server:
    """A server started alone."""

    process: subprocess.Popen[bytes]
    address: str
    metrics_url: str


@contextmanager
def server(module: str, environment: dict[str, str]) -> Iterator[Server]:
    """Starts one server on free ports; yields it when it is SERVING."""
    port, metrics_port = free_port(), free_port()
    own = {"MARQUEE_PORT": str(port), "MARQUEE_METRICS_PORT": str(metrics_port)}
    process = subprocess.Popen(
        [sys.executable, "-m", module], cwd=ROOT, env=environment | own, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: serving(f"127.0.0.1:{port}") or process.poll() is not None, 60)
        yield Server(process, f"127.0.0.1:{port}", f"http://127.0.0.1:{metrics_port}/metrics")
    finally:
        process.kill()
        process.wait(10)


def serving(address: str) -> bool:
    """Whether a gRPC server's health is SERVING there."""
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=1)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Waits for the condition; fails the test when it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def metric(url: str, name: str, labels: str) -> float:
    """The value of the metric's series whose labels contain the text; 0 where there is none."""
    with urllib.request.urlopen(url, timeout=5) as page:  # noqa: S310 - our own server
        lines = page.read().decode().splitlines()
    found = [line for line in lines if line.startswith(f"{name}{{") and labels in line]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
