"""The processes that these benchmarks start, on free ports of the loopback interface."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from local.stack import CREDENTIALS
from tests.support.processes import ROOT, free_port, serving, wait_until

HERE = Path(__file__).resolve().parent


@contextmanager
def stub(**faults: float) -> Iterator[str]:
    """Run the fast stand-in for Rekognition; yield its URL."""
    options = [text for name, value in faults.items() for text in (f"--{name}", str(value))]
    with _program(str(HERE / "stub.py"), *options) as url:
        yield url


@contextmanager
def table() -> Iterator[str]:
    """Run the stand-in for DynamoDB; yield its URL."""
    with _program(str(HERE / "table.py")) as url:
        yield url


@contextmanager
def replicas(count: int, **environment: str) -> Iterator[list[str]]:
    """Run `count` replicas of services.rekognition; yield their addresses."""
    with ExitStack() as stack:
        addresses = []
        for _ in range(count):
            port = free_port()
            own = {"MARQUEE_PORT": str(port), "MARQUEE_METRICS_PORT": str(free_port()), "MARQUEE_LOG_LEVEL": "error"}
            command = [sys.executable, "-m", "services.rekognition"]
            process = subprocess.Popen(command, cwd=ROOT, env=os.environ | CREDENTIALS | own | environment)
            stack.callback(_end, process)
            addresses.append(f"127.0.0.1:{port}")
        for address in addresses:
            wait_until(lambda address=address: serving(address), 60)
        yield addresses


def counts_of(url: str) -> dict[str, Any]:
    """Return the stub's counts."""
    with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310 - our own server
        return dict(json.load(response))


@contextmanager
def _program(*command: str) -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, *command, "--port", str(port)], env=os.environ | CREDENTIALS)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(url), 30)
        yield url
    finally:
        _end(process)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - our own server
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(30)
