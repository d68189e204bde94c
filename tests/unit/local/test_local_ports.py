"""Tests of the launcher's ports: two systems that start at once do not choose the same."""

import subprocess
import sys

from local import ports
from tests.support.processes import PATIENCE, spawn, wait_until

_CHOOSES = "from local import ports; print(*ports.take(1), flush=True); input()"


def test_a_chosen_port_is_not_free_before_its_server_listens() -> None:
    """From the choice until it ends, a process keeps its port from others; then the port is free again."""
    command = [sys.executable, "-c", _CHOOSES]
    with spawn(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline())
        assert not ports.claim(port)
        other.kill()
        other.wait(PATIENCE)
    wait_until(lambda: ports.claim(port))
