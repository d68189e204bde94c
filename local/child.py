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
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(launcher):  # the launcher ended before this process was tied to it
        sys.exit("the launcher is gone")
    sys.argv = [module, *args]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
