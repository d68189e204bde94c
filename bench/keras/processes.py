"""Processes that run the local server and the adapter, and the time that they use."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import ROOT, cpu_seconds, free_port, serving, wait_until

NAME = "bench"


@contextmanager
def server(model: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run the local server; yield its process and port."""
    port = free_port()
    flags = ("--model_name", NAME, "--model_base_path", str(model.resolve()), "--enable_grpc_healthcheck_service")
    with running([sys.executable, "-m", "local.tf_serving", *flags, "--port", str(port)], {}, port) as process:
        yield process, port


@contextmanager
def adapter(
    python: str, model: Path, serving_port: int, **settings: str
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run the adapter in front of the server; yield its process and port."""
    port = free_port()
    own = {
        "MARQUEE_PORT": str(port),
        "MARQUEE_METRICS_PORT": str(free_port()),
        "MARQUEE_KERAS_TARGET": f"127.0.0.1:{serving_port}",
        "MARQUEE_KERAS_MODEL": NAME,
        "MARQUEE_KERAS_ASSETS": str(model.resolve()),
        "PYTHONPATH": str(ROOT),
    }
    with running([python, "-m", "services.keras"], own | settings, port) as process:
        yield process, port


@contextmanager
def running(command: list[str], environment: dict[str, str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process; yield it once its health is SERVING."""
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: serving(f"127.0.0.1:{port}"), 60)
        yield process
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def image_environment(python: str, model: Path, serving_port: int) -> Iterator[dict[str, str]]:
    """Yield variables for an adapter that starts as in the image: with the bytecode of packages, without our own."""
    with tempfile.TemporaryDirectory() as cache:
        with adapter(python, model, serving_port, PYTHONPYCACHEPREFIX=cache, PYTHONDONTWRITEBYTECODE=""):
            pass
        for package in ("marquee", "services"):
            shutil.rmtree(Path(cache, *ROOT.parts[1:], package))
        yield {"PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": "1"}


def start_seconds(python: str, model: Path, serving_port: int, **settings: str) -> tuple[float, float]:
    """Return the seconds from the adapter's start to SERVING, and the CPU seconds that it used."""
    begin = time.perf_counter()
    with adapter(python, model, serving_port, **settings) as (process, _):
        return time.perf_counter() - begin, cpu_seconds(process.pid)
