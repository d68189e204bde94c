"""A process of any checkout that finds faces and recognizes people for the benchmarks of this folder.

`Finder(checkout)` starts it; calls and answers are pickles on its standard input and output.
"""

import asyncio
import functools
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]
"""Left, top, width, height."""
SMALLEST_FACE = 0.02


@dataclass(frozen=True)
class Found:
    """The answer to one call."""

    boxes: list[Box]
    """In pixels; of a recognition, in fractions of the picture."""
    seconds: float
    """CPU time."""
    peak_mib: float
    """Most memory during the call, over that before it."""


class Finder:
    """The process. One call at a time."""

    def __init__(self, checkout: Path) -> None:
        environment = os.environ | {"PYTHONPATH": str(checkout.resolve())}
        command = [sys.executable, str(Path(__file__).resolve())]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=checkout, env=environment, stdin=pipe, stdout=pipe)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def find(self, pixels: Pixels, smallest_face: float = SMALLEST_FACE, *, turn: bool = True) -> Found:
        """Return the faces of an upright RGB picture. A checkout before YuNet has neither of the settings."""
        return self._call(find, pixels, smallest_face, turn)

    def recognize(self, content: bytes, smallest_face: float = SMALLEST_FACE) -> Found:
        """Recognize a picture file with the demo's model, an embedding, as a call to the SVM service does."""
        return self._call(recognize, content, smallest_face)

    def _call(self, function: Callable[..., Any], *args: object) -> Found:
        assert self._process.stdin  # noqa: S101 - both are pipes
        assert self._process.stdout  # noqa: S101
        pickle.dump((function.__name__, args), self._process.stdin)
        self._process.stdin.flush()
        return Found(*pickle.load(self._process.stdout))  # noqa: S301 - our own process


def serve() -> None:
    """Answer calls until the caller goes."""
    cv2.setNumThreads(1)
    _set_memory()
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    functions = {function.__name__: function for function in (find, recognize)}
    while True:
        name, args = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own caller
        Path("/proc/self/clear_refs").write_text("5")  # the peak so far becomes the present
        idle, begin = _mib("VmRSS"), time.process_time()
        boxes = functions[name](*args)
        pickle.dump((boxes, time.process_time() - begin, _mib("VmHWM") - idle), answers)
        answers.flush()


def find(pixels: Pixels, smallest_face: float, turn: bool) -> list[Box]:  # noqa: FBT001 - sent by position
    """Return the boxes of the faces."""
    return [(face.left, face.top, face.width, face.height) for face in _detector(smallest_face, turn)(pixels)]


def recognize(content: bytes, smallest_face: float) -> list[Box]:
    """Return the boxes of the faces of the recognizer's result."""
    from marquee.v1 import recognizer_pb2 as pb  # noqa: PLC0415 - the checkout's, as all below
    from services.runtime.images.image import Image  # noqa: PLC0415
    from services.runtime.leaf.recognizer import Options  # noqa: PLC0415

    loop, recognizer = _recognizer(smallest_face)
    options = Options("bench", (pb.FEATURE_CELEBRITIES,), 10, 0, "", include_embeddings=False, deadline=float("inf"))
    result = loop.run_until_complete(recognizer.recognize(Image(content), options))
    return [(face.box.left, face.box.top, face.box.width, face.box.height) for face in result.faces]


def _set_memory() -> None:
    """Set the allocator as the checkout's own server does."""
    from services.runtime import memory  # noqa: PLC0415

    if hasattr(memory, "reuse_freed_memory"):
        memory.reuse_freed_memory()
    else:  # before YuNet
        memory.give_back_freed_memory(256 * 1024)


@functools.cache
def _detector(smallest_face: float, turn: bool) -> Callable[[Pixels], Any]:  # noqa: FBT001
    try:
        from services.runtime.images.detector import FaceDetector  # noqa: PLC0415
    except ImportError:  # before YuNet
        from services.svm.faces import FaceFinder  # noqa: PLC0415

        return FaceFinder().find
    detector = FaceDetector(smallest_face, turn=turn)
    return lambda pixels: detector.find(pixels).faces


@functools.cache
def _recognizer(smallest_face: float) -> tuple[asyncio.AbstractEventLoop, Any]:
    from services.svm.recognizer import SvmRecognizer  # noqa: PLC0415
    from services.svm.settings import SvmSettings  # noqa: PLC0415

    settings: dict[str, Any] = {"svm_model": str(Path("models/svm/demo.skops").resolve()), "workers": 1}
    loop, recognizer = asyncio.new_event_loop(), SvmRecognizer(SvmSettings(**settings, smallest_face=smallest_face))
    loop.run_until_complete(recognizer.load())
    return loop, recognizer


def _mib(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


if __name__ == "__main__":
    serve()
