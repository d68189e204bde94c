"""Processes that run the servers of any checkout of this project, so that two can be measured side by side."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

SECONDS = 300
_AWS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1"}


@dataclass(frozen=True)
class Checkout:
    """A checkout's running servers: svm, rekognition with a daily cap, and a gateway in front of svm."""

    root: Path
    pictures: Path
    """A folder with hopper.jpg, collins.jpg, both.jpg and coffee.jpg."""
    addresses: Mapping[str, str]
    processes: Mapping[str, subprocess.Popen[bytes]]


@contextmanager
def running(root: Path, folder: Path, wrapper: Callable[[str], Sequence[str]] | None = None) -> Iterator[Checkout]:
    """Start the checkout's servers with their files below `folder`; yield them once they serve.

    `wrapper` returns, for a server's name, the arguments that replace `-m services.NAME`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures, people, config = folder / "pictures", folder / "people", folder / "gateway.yaml"
    run(root, "-m", "local.pictures", "demo", str(pictures))
    run(root, "-m", "local.pictures", "gallery", str(people))
    aws, svm, rekognition, gateway = free_ports(4)
    config.write_text(f"recognizers: {{svm: {{target: '127.0.0.1:{svm}'}}}}\n")
    servers = {
        "svm": (svm, {"SVM_GALLERY": str(folder / "gallery.npz"), "SVM_GALLERY_POLL_SECONDS": "60"}),
        "rekognition": (
            rekognition,
            {"REKOGNITION_ENDPOINT_URL": f"http://127.0.0.1:{aws}", "REKOGNITION_DAILY_CAP_USD": "5"},
        ),
        "gateway": (gateway, {"GATEWAY_CONFIG": str(config)}),
    }
    with ExitStack() as stack:
        endpoint = ("-m", "local.rekognition", "--port", str(aws), "--gallery", str(people))
        stack.enter_context(process(root, *endpoint))
        until(lambda: listens(aws))
        processes = {}
        for name, (port, settings) in servers.items():
            own = {"PORT": str(port), "METRICS_PORT": str(free_ports(1)[0])} | settings
            command = wrapper(name) if wrapper else ("-m", f"services.{name}")
            environment = {f"MARQUEE_{key}": value for key, value in own.items()}
            processes[name] = stack.enter_context(process(root, *command, **environment))
        addresses = {name: f"127.0.0.1:{port}" for name, (port, _) in servers.items()}
        for address in addresses.values():
            until(lambda address=address: _serves(address))  # type: ignore[misc]
        yield Checkout(root, pictures, addresses, processes)


@contextmanager
def process(root: Path, *command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run this Python in the checkout until the context exits."""
    own = os.environ | {"PYTHONPATH": str(root)} | _AWS | environment
    silent = subprocess.DEVNULL
    child = subprocess.Popen([sys.executable, *command], cwd=root, env=own, stdout=silent, stderr=silent)
    try:
        yield child
    finally:
        child.kill()
        child.wait(10)


def run(root: Path, *command: str) -> None:
    """Run this Python in the checkout and wait for it to succeed."""
    environment = os.environ | {"PYTHONPATH": str(root)}
    subprocess.run([sys.executable, *command], cwd=root, env=environment, check=True, timeout=SECONDS)


def until(condition: Callable[[], bool]) -> None:
    """Wait for the condition; raise TimeoutError after SECONDS."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {SECONDS} s")
        time.sleep(0.05)


def _serves(address: str) -> bool:
    import grpc  # noqa: PLC0415 - only the health check needs gRPC
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: PLC0415

    with grpc.insecure_channel(address) as channel:
        try:
            response = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        except grpc.RpcError:
            return False
    return bool(response.status == health_pb2.HealthCheckResponse.SERVING)


def listens(port: int) -> bool:
    """Return whether somebody listens on the loopback port."""
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
