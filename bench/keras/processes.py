"""The local server and the adapter as processes, and what they use."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import ROOT, free_port, serving, wait_until

NAME = "bench"


@contextmanager
def server(model: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Return the local server: its process and port."""
    port = free_port()
    flags = ("--model_name", NAME, "--model_base_path", str(model.resolve()), "--enable_grpc_healthcheck_service")
    with running([sys.executable, "-m", "local.tf_serving", *flags, "--port", str(port)], {}, port) as process:
        yield process, port


@contextmanager
def adapter(python: str, model: Path, served: int, **settings: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Return the adapter before it: its process and port."""
    port = free_port()
    own = {
        "MARQUEE_PORT": str(port),
        "MARQUEE_METRICS_PORT": str(free_port()),
        "MARQUEE_KERAS_TARGET": f"127.0.0.1:{served}",
        "MARQUEE_KERAS_MODEL": NAME,
        "MARQUEE_KERAS_ASSETS": str(model.resolve()),
        "PYTHONPATH": str(ROOT),
    }
    with running([python, "-m", "services.keras"], own | settings, port) as process:
        yield process, port


@contextmanager
def running(command: list[str], environment: dict[str, str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Return a process, once its health is SERVING."""
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: serving(f"127.0.0.1:{port}"), 60)
        yield process
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def as_in_image(python: str, model: Path, served: int) -> Iterator[dict[str, str]]:
    """Return an environment in which an adapter starts as in the image: bytecode of packages, none of our own."""
    with tempfile.TemporaryDirectory() as cache:
        with adapter(python, model, served, PYTHONPYCACHEPREFIX=cache, PYTHONDONTWRITEBYTECODE=""):
            pass
        for own in ("marquee", "services"):
            shutil.rmtree(Path(cache, *ROOT.parts[1:], own))
        yield {"PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": "1"}


def started(python: str, model: Path, served: int, **settings: str) -> tuple[float, float]:
    """Seconds from the adapter's start to SERVING, and those that it computed."""
    begin = time.perf_counter()
    with adapter(python, model, served, **settings) as (process, _):
        return time.perf_counter() - begin, cpu_seconds(process.pid)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
