"""Run a module as the launcher's child: `python -m local.child LAUNCHER MODULE [ARGUMENT …]`, LAUNCHER being its pid.

The child ends with the launcher, even if that is killed: Linux then sends the child SIGTERM.
On other systems, children end only if the launcher exits in an orderly way.
"""

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent and become the module."""
    launcher, module, *args = sys.argv[1:]
    end_with(int(launcher))
    sys.argv = [module, *args]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def end_with(launcher: int, number: signal.Signals = signal.SIGTERM) -> None:
    """Have this process get the signal when the launcher ends. A change of user undoes it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != launcher:  # it ended before this process was tied to it
        sys.exit("the launcher is gone")


if __name__ == "__main__":
    main()
