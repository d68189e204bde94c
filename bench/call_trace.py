"""Runs a module and notes which files of a checkout its calls run through; it imports nothing of the project.

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

_ROOMS = ("marquee", "services")
_OPTIMIZED = 0x1  # inspect.CO_OPTIMIZED: a function's code; bodies of modules and classes lack it


def main(root: Path, output: Path, module: str, arguments: list[str]) -> None:
    """Run the module in this process; SIGUSR1 forgets the files, SIGUSR2 and the process's end write them."""
    files: set[str] = set()
    rooms = tuple(f"{root / room}{os.sep}" for room in _ROOMS)
    generated = str(root / "marquee" / "v1")

    def profile(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        path = code.co_filename
        is_call = event == "call" and code.co_flags & _OPTIMIZED
        if is_call and path.startswith(rooms) and not path.startswith(generated):
            files.add(path.removeprefix(f"{root}{os.sep}"))

    def write(*_: object) -> None:
        fresh = output.with_suffix(".new")
        fresh.write_text(json.dumps(sorted(files)))
        fresh.replace(output)

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
