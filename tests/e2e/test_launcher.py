"""The launcher's shutdown and its demo."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local.pictures import write_gallery
from tests.support.processes import PATIENCE, free_port, local_system, run, wait_until

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopping_the_launcher_stops_everything(tmp_path: Path, number: signal.Signals) -> None:
    """Neither Ctrl-C nor a crash of the launcher leaves a process behind."""
    with local_system(tmp_path) as system:
        pids = [int(pid) for pid in system.facts["pids"].values()]
        system.process.send_signal(number)
        code = system.process.wait(PATIENCE)
        wait_until(lambda: not any(_runs(pid) for pid in pids))
    assert code == (-signal.SIGKILL if number is signal.SIGKILL else 0)


def test_ctrl_c_after_a_crash_leaves_nothing(tmp_path: Path) -> None:
    """A part that has just crashed is not restarted during the shutdown."""
    with local_system(tmp_path) as system:
        pids = [int(pid) for pid in system.facts["pids"].values()]
        os.kill(pids[0], signal.SIGKILL)
        system.process.send_signal(signal.SIGINT)
        assert system.process.wait(PATIENCE) == 0
        assert not any(_runs(pid) for pid in pids)


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() != b""


def test_the_demo_exits_0_when_all_is_right(tmp_path: Path) -> None:
    """`make demo ARGS=--once` shows each picture with its verdict and exits 0."""
    result = _demo(tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert all(word in result.stdout for word in ("both.jpg", "Eileen Collins", "Grace Hopper", "no face", "Celebrity"))


def test_the_demo_fails_when_a_verdict_is_wrong(tmp_path: Path) -> None:
    """If an independent recognizer names somebody else, the demo exits 1 and says what is wrong."""
    write_gallery(tmp_path / "gallery")
    (tmp_path / "gallery" / "Grace Hopper").rename(tmp_path / "gallery" / "Somebody Else")
    result = _demo(tmp_path / "state", "--gallery", str(tmp_path / "gallery"), MARQUEE_EVIDENCE_GROUP="another")
    assert result.returncode == 1
    assert "WRONG  hopper.jpg" in result.stdout


def _demo(state: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    port = str(free_port())
    command = [sys.executable, "-m", "local", "--once", "--state", state, "--port", port, *arguments]
    return run(command, env=os.environ | environment)
