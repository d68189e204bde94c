"""Returning freed memory to the system."""

import sys

import pytest

from tests.support.processes import run

_WORK = """
import numpy as np
from pathlib import Path
from services.runtime.memory import give_back_freed_memory, reuse_freed_memory, trim
{before}
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
start = resident()
large = np.ones(30 * 2**20, np.uint8)
del large
arrays = [np.ones(2**20, np.uint8) for _ in range(100)]
behind = bytes(3000)
del arrays
{after}
print(resident() - start)
"""


def growth(before: str = "", after: str = "") -> int:
    """Return how many bytes a process still holds of 100 MiB that it freed."""
    code = _WORK.format(before=before, after=after)
    return int(run([sys.executable, "-c", code]).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's way of keeping memory")
def test_freed_memory_goes_back() -> None:
    """Memory that glibc would keep behind a small piece in use returns at once, or on trim()."""
    assert growth() > 20 * 2**20
    assert growth(before="give_back_freed_memory(256 * 1024)") < 10 * 2**20
    assert growth(after="trim()") < 10 * 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's way of keeping memory")
def test_reused_memory_goes_back_regularly() -> None:
    """Freed memory is kept for the next picture, and returns without another call."""
    assert growth(before="reuse_freed_memory(1000)") > 90 * 2**20
    wait = "import time\nwhile resident() - start > 10 * 2**20: time.sleep(0.01)"
    assert growth(before="reuse_freed_memory(0.1)", after=wait) < 10 * 2**20


def test_collections_are_rare() -> None:
    """What is there when a server starts is never looked at again, and new objects seldom."""
    code = "import gc; from services.runtime.memory import collect_rarely; before = gc.get_threshold()[0]; "
    show = "collect_rarely(); print(gc.get_freeze_count(), gc.get_threshold()[0] - before)"
    frozen, more = map(int, run([sys.executable, "-c", code + show]).stdout.split())
    assert frozen > 1000
    assert more > 0
