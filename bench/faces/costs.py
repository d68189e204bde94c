"""Measure what detection costs: of a whole call, of a photo of 12 megapixels, with two threads, and OpenCV's way.

usage: PYTHONPATH=. python bench/faces/costs.py BEFORE [--rounds 20]

BEFORE is a checkout to measure beside this one, with calls in turn. Prints Markdown rows; takes two minutes.
"""

import argparse
import io
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from finder import Finder, Pixels

from local.pictures import photo
from services.runtime.images.detector import FaceDetector
from services.runtime.images.weights import YUNET
from services.runtime.images.yunet import YuNet

SHARES = (0.02, 0.01, 0.006)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    print("| what | measured |\n|---|---|")
    with Finder(args.before) as before, Finder(Path()) as after:
        print_calls(before, after, args.rounds)
    for name, checkout, share in (("before", args.before, SHARES[0]), *((f"{one:.1%}", Path(), one) for one in SHARES)):
        print(f"| 12 megapixels, smallest face: {name} | {large(checkout, share)} |", flush=True)
    print_threads(args.rounds)
    for size in ((640, 480), (800, 608)):
        print_network(size, args.rounds)


def print_calls(before: Finder, after: Finder, rounds: int) -> None:
    """Print the CPU time of a whole call with one face, after one of each that warms up."""
    content = jpeg(1280, 960)
    pairs = [(least(after, content), least(before, content)) for _ in range(rounds + 1)][1:]
    ratio = statistics.median(one / other for one, other in pairs)
    print(f"| whole call, 1280x960, one face, embedding / before | {ratio:.2f}: {times(pairs)} |", flush=True)


def least(finder: Finder, content: bytes) -> float:
    """Return the least CPU time of three calls; the first may find its memory given back to the system."""
    return min(finder.recognize(content).seconds for _ in range(3))


def large(checkout: Path, share: float) -> str:
    """Return the least CPU time of three whole calls, and the memory that the first needs in a process that is warm."""
    content = jpeg(4000, 3000)
    with Finder(checkout) as finder:
        finder.recognize(jpeg(640, 480), share)
        calls = [finder.recognize(content, share) for _ in range(3)]
    return f"{min(call.seconds for call in calls) * 1000:.0f} ms of CPU, {calls[0].peak_mib:.0f} MiB over idle"


def print_threads(rounds: int) -> None:
    """Print how many pictures a second two threads search, against one."""
    detector, pixels = FaceDetector(), pixels_of(1280, 960)
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(2) as two:
        pairs = [tuple(rate(detector, pixels, threads) for threads in (two, one)) for _ in range(rounds // 4)]
    ratio = statistics.median(many / single for many, single in pairs)
    print(f"| detection, two threads against one | {ratio:.2f} |", flush=True)


def rate(detector: FaceDetector, pixels: Pixels, threads: ThreadPoolExecutor) -> float:
    """Return the pictures searched per second."""
    begin = time.perf_counter()
    list(threads.map(detector.find, [pixels] * 20))
    return 20 / (time.perf_counter() - begin)


def print_network(size: tuple[int, int], rounds: int) -> None:
    """Print the CPU time of the network here and in OpenCV."""
    pixels, network = pixels_of(*size), YuNet()
    reference = cv2.FaceDetectorYN.create(str(YUNET.locate()), "", size, 0.1, 0.3, 5000)
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    calls = (lambda: network.detect(pixels, 0.1), lambda: reference.detect(bgr))
    pairs = [(cpu_seconds(calls[0]), cpu_seconds(calls[1])) for _ in range(rounds)]
    print(f"| network, {size[0]}x{size[1]}, one thread / FaceDetectorYN | {times(pairs)} |", flush=True)


def cpu_seconds(call: Callable[[], object]) -> float:
    """Return the CPU time of a call."""
    begin = time.process_time()
    call()
    return time.process_time() - begin


def times(pairs: list[tuple[float, float]]) -> str:
    """Return both medians and both minima: other work on the machine only adds."""
    medians, minima = (
        [pick(values) * 1000 for values in zip(*pairs, strict=True)] for pick in (statistics.median, min)
    )
    return f"{medians[0]:.1f} / {medians[1]:.1f} ms of CPU, at least {minima[0]:.1f} / {minima[1]:.1f}"


def jpeg(width: int, height: int) -> bytes:
    """Return a photo of this size with one face."""
    buffer = io.BytesIO()
    photo("Eileen Collins").crop((0, 0, 512, 384)).resize((width, height)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def pixels_of(width: int, height: int) -> Pixels:
    """Return the same photo, decoded."""
    return np.asarray(photo("Eileen Collins").crop((0, 0, 512, 384)).resize((width, height)))


if __name__ == "__main__":
    main()
