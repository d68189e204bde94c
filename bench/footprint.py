"""Measure the start-up time, imports and memory of the parts.

usage: PYTHONPATH=. python bench/footprint.py [--calls 1000]

Prints a Markdown table. Runs the local system on the loopback interface for about a minute.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from marquee import Client
from tests.support.processes import LocalSystem, local_system, memory_mib, server

HEAVY = ("boto3", "cv2", "numpy", "sklearn", "tensorflow", "PIL")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1000)
    calls = parser.parse_args().calls
    print("| what | measured |\n|---|---|")
    print(f"| `import marquee`, median of 7 processes | {import_seconds():.3f} s |")
    print(f"| heavy modules that it loads ({', '.join(HEAVY)}) | {heavy_modules() or 'none'} |")
    with tempfile.TemporaryDirectory() as folder, local_system(Path(folder)) as system:
        print(f"| gateway, start to SERVING, median of 5 | {start_seconds(system, 'gateway'):.2f} s |")
        print(f"| keras adapter, start to SERVING, median of 5 | {start_seconds(system, 'keras'):.2f} s |")
        milliseconds = recognize(system, calls)
        print(f"| {calls} calls through the gateway, 4 at a time, p50 / p95 | {milliseconds} |")
        for name in ("gateway", "rekognition", "keras", "svm"):
            print(f"| {name}, resident after them | {memory_mib(system.facts['pids'][name]):.0f} MiB |")
        print(f"| TensorFlow runtime mapped into the keras adapter | {maps(system, 'keras', 'tensorflow_framework')} |")


def import_seconds() -> float:
    """Return the seconds that `import marquee` adds to the start of an interpreter."""
    code = (
        "import time; begin = time.perf_counter(); import marquee; marquee.Client; print(time.perf_counter() - begin)"
    )
    return statistics.median(float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(7))


def heavy_modules() -> str:
    """Return the names of the HEAVY modules that the client loads."""
    code = f"import sys, marquee; marquee.Client; print(' '.join(m for m in {HEAVY} if m in sys.modules))"
    return subprocess.check_output([sys.executable, "-c", code], text=True).strip()


def start_seconds(system: LocalSystem, name: str) -> float:
    """Return the median seconds from the start of the process to SERVING."""
    environment = system.environment(name)
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        with server(f"services.{name}", environment):
            seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def recognize(system: LocalSystem, calls: int) -> str:
    """Call the gateway with the demo's pictures; return p50 and p95 in milliseconds."""
    pictures = [system.picture(name) for name in ("both.jpg", "coffee.jpg", "collins.jpg", "hopper.jpg")]
    with Client(system.address("gateway")) as client, ThreadPoolExecutor(4) as threads:

        def call(number: int) -> float:
            begin = time.perf_counter()
            client.recognize(pictures[number % len(pictures)], timeout=60, no_cache=True)
            return time.perf_counter() - begin

        seconds = sorted(threads.map(call, range(calls)))
    return f"{seconds[calls // 2] * 1000:.0f} / {seconds[calls * 95 // 100] * 1000:.0f} ms"


def maps(system: LocalSystem, name: str, library: str) -> str:
    """Return "yes" if the process has the library mapped, else "no"."""
    return "yes" if library in Path(f"/proc/{system.facts['pids'][name]}/maps").read_text() else "no"


if __name__ == "__main__":
    main()
