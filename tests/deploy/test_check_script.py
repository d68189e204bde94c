"""Tests of the script that `helm test` runs."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helm.generate import CHART, ROOT
from tests.support.doors import Authority, line
from tests.support.processes import LocalSystem, free_port, run, server
from tests.support.servers import Scripted, leaf

pytestmark = pytest.mark.slow

PICTURE = CHART / "files" / "picture.jpg"


def _check(address: str, *way: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, CHART / "files" / "check.py", address, PICTURE, *map(str, way)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return run(command, env=environment)


def test_healthy_system_passes(system: LocalSystem) -> None:
    """Each recognizer is reported as ready, and its result as OK."""
    done = _check(system.address("gateway"))
    assert done.returncode == 0, done.stderr
    assert "svm RECOGNIZER_STATE_READY" in done.stdout
    assert "svm OUTCOME_OK" in done.stdout
    assert "VERDICT_STATE_IDENTIFIED Grace Hopper" in done.stdout


def test_missing_recognizer_fails(system: LocalSystem, tmp_path: Path) -> None:
    """An unreachable recognizer is reported and fails the check, although the others answer."""
    config = tmp_path / "gateway.yaml"
    dead = f"127.0.0.1:{free_port()}"
    config.write_text(f"recognizers: {{svm: {{target: '{system.address('svm')}'}}, gone: {{target: '{dead}'}}}}")
    environment = system.environment("gateway") | {"MARQUEE_GATEWAY_CONFIG": str(config)}
    with server("services.gateway", environment) as gateway:
        done = _check(gateway.address)
    assert done.returncode == 1
    assert "svm OUTCOME_OK" in done.stdout
    assert "gone RECOGNIZER_STATE_UNAVAILABLE" in done.stdout


async def test_credentials_are_shown(tmp_path: Path) -> None:
    """With credentials it calls over TLS, with the token; without the token it says why it was refused."""
    pair = Authority(tmp_path).issue("gateway.example")
    (tmp_path / "ca.pem").rename(tmp_path / "ca.crt")
    (tmp_path / "callers").write_text(line("secret"))
    (tmp_path / "token").write_text("secret\n")
    doors = {"tls_cert": pair.chain, "tls_key": pair.key, "callers": tmp_path / "callers"}
    async with leaf(Scripted("svm"), **doors) as address:
        done = await asyncio.to_thread(_check, address, tmp_path, "gateway.example")
        (tmp_path / "token").unlink()
        refused = await asyncio.to_thread(_check, address, tmp_path, "gateway.example")
    assert done.returncode == 0, done.stdout
    assert refused.returncode == 1
    assert "UNAUTHENTICATED" in refused.stdout
