"""What the commands of the README and of its next pages print, and the picture that it shows."""

import os
import sys

import pytest

from tests.support.processes import ROOT, run

pytestmark = pytest.mark.slow


def test_pages_show_what_commands_print() -> None:
    """Typed into a terminal beside the demo, each command prints what its page shows, and draws the same picture."""
    done = run([sys.executable, "docs/outputs.py", "--check"], env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
