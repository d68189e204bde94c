"""Run a module as the launcher's child: `python -m local.child LAUNCHER MODULE [ARGUMENT …]`, LAUNCHER being its pid.

The child ends when the launcher does, even if that is killed: Linux sends it SIGTERM then.
Elsewhere only an orderly end of the launcher takes its children along.
"""

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent and become the module."""
    launcher, module, *arguments = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(launcher):  # it ended before this process was tied to it
        sys.exit("the launcher is gone")
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
