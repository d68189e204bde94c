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


def test_what_is_loaded_is_spared() -> None:
    """What is there when a server starts is never looked at again; cycles of new objects are still freed."""
    cycles = "spare_what_is_loaded(); [l.append(l) for l in ([] for _ in range(10_000))]; "
    code = f"import gc; from services.runtime.memory import spare_what_is_loaded; {cycles}"
    show = "print(gc.get_freeze_count(), len(gc.get_objects()))"
    frozen, others = map(int, run([sys.executable, "-c", code + show]).stdout.split())
    assert frozen > 1000
    assert others < 5000
