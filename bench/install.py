"""Measure what `make demo` takes in a clean clone: time, disk and download, with nothing in the installer's caches.

usage: python bench/install.py [--python python3.12] [--keep FOLDER]

Clones this checkout's last commit, runs `make demo ARGS=--once` twice and prints a Markdown table. Whatever else the
machine downloads meanwhile counts, too.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_MIB = 1024 * 1024
_CACHES = ("UV_CACHE_DIR", "PIP_CACHE_DIR", "npm_config_cache")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default="python3", help="interpreter to build with (default: python3)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="clone there, and leave it there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        clone = args.keep or Path(scratch) / "clone"
        subprocess.run(["git", "clone", "--quiet", _ROOT, clone], check=True)  # noqa: S607 - the one on the path
        kept = {name: str(Path(scratch) / "caches" / name) for name in _CACHES}
        environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
        received = _received()
        print("| `make demo ARGS=--once` | measured |\n|---|---|")
        for run in ("first", "second"):
            seconds = _demo(clone, args.python, environment | kept)
            print(f"| {run} run | {seconds:.0f} s |", flush=True)
        print(f"| downloaded | {(_received() - received) / _MIB:.0f} MiB |")
        print(f"| the clone, with all that was installed into it | {_size(clone):.0f} MiB |")
        print(f"| the installer's caches, which share files with it | {_size(Path(scratch) / 'caches'):.0f} MiB |")


def _demo(clone: Path, python: str, environment: dict[str, str]) -> float:
    """Run the demo; return its seconds. Exits with its output if it fails."""
    begin = time.perf_counter()
    command = ["make", "demo", "ARGS=--once", f"PYTHON3={python}"]
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}\n{done.stderr}")
    return time.perf_counter() - begin


def _received() -> int:
    """Return the bytes that came in over all interfaces but the loopback."""
    lines = Path("/proc/net/dev").read_text().splitlines()[2:]
    return sum(int(line.split(":")[1].split()[0]) for line in lines if not line.strip().startswith("lo:"))


def _size(folder: Path) -> float:
    """Return the folder's size in MiB, files with several names counted once."""
    files = {(found.st_dev, found.st_ino): found.st_blocks * 512 for found in _stats(folder)}
    return sum(files.values()) / _MIB


def _stats(folder: Path) -> list[os.stat_result]:
    return [Path(top, name).lstat() for top, _, names in os.walk(folder) for name in names]


if __name__ == "__main__":
    main()
