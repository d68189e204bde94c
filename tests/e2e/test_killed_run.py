"""A killed test run leaves no process behind."""

import os
import sys
import uuid
from pathlib import Path

import pytest

from tests.support.processes import ROOT, spawn, wait_until

pytestmark = pytest.mark.slow
_MARK = "TEST_RUN"
_TEST = """
import threading
from tests.support.processes import spawn
from tests.support.servers import LeafProcess

def test_that_never_ends(tmp_path):
    with spawn(["sh", "-c", "sleep 1000 & sleep 1000"]):
        leaf = LeafProcess(tmp_path)
        (tmp_path.parents[1] / "started").touch()
        threading.Event().wait()
"""


def test_a_killed_run_leaves_no_process(tmp_path: Path) -> None:
    """After kill -9 of pytest, its workers, its servers and all their child processes are gone."""
    (tmp_path / "test_endless.py").write_text(_TEST)
    options = ["-n", "1", "--timeout=0", "--basetemp", tmp_path / "temp", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-q", tmp_path / "test_endless.py", *options]
    mark = uuid.uuid4().hex
    environment = os.environ | {_MARK: mark, "PYTHONPATH": str(ROOT)}
    with (tmp_path / "log").open("wb") as log, spawn(command, env=environment, stdout=log, stderr=log) as run:
        wait_until(lambda: list(tmp_path.rglob("started")) or run.poll() is not None)
        assert run.poll() is None, (tmp_path / "log").read_text()
        wait_until(lambda: len(_processes(mark)) >= 6)  # pytest, its worker and its guard, two sleeps, a leaf
        run.kill()
        run.wait()
        wait_until(lambda: not _processes(mark))


def _processes(mark: str) -> list[str]:
    """Return the command lines of all processes whose environment has the mark."""
    return [
        (folder / "cmdline").read_text().replace("\0", " ")
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and f"{_MARK}={mark}" in _text(folder / "environ")
    ]


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process is another user's or has ended
        return ""
