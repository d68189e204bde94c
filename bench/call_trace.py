"""Run a module and record which files of a checkout its calls run through, without importing the project.

usage: python bench/call_trace.py CHECKOUT OUTPUT MODULE [ARGUMENT ...]
"""

import json
import os
import runpy
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

_PACKAGES = ("marquee", "services")
_OPTIMIZED = 0x1  # inspect.CO_OPTIMIZED: set for functions, not for the bodies of modules and classes


def main(root: Path, output: Path, module: str, arguments: list[str]) -> None:
    """Run the module in this process; SIGUSR1 clears the recorded files, SIGUSR2 and the process's exit write them."""
    files: set[str] = set()
    packages = tuple(f"{root / package}{os.sep}" for package in _PACKAGES)
    generated = str(root / "marquee" / "v1")

    def profile(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        path = code.co_filename
        is_call = event == "call" and code.co_flags & _OPTIMIZED
        if is_call and path.startswith(packages) and not path.startswith(generated):
            files.add(path.removeprefix(f"{root}{os.sep}"))

    def write(*_: object) -> None:
        temporary = output.with_suffix(".new")
        temporary.write_text(json.dumps(sorted(files)))
        temporary.replace(output)

    signal.signal(signal.SIGUSR1, lambda *_: files.clear())
    signal.signal(signal.SIGUSR2, write)
    sys.argv = [module, *arguments]
    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        sys.setprofile(None)
        write()


if __name__ == "__main__":
    sys.path[0] = sys.argv[1]
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4:])
