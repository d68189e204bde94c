"""Face detection with OpenCV's Haar cascades. Imported only by what detects faces: OpenCV is large."""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.boxes import share_of_smaller
from services.runtime.images.image import Pixels

WORKING_SIDE = 640
"""Longer side, in pixels, of the copy that faces are detected in for recognition."""
_MIN_SIDE = 32
"""Smallest face that is detected, in pixels of that copy."""
_STEP = 1.25
"""Ratio of one face size to the next. The published 1.3 misses faces in the small copy."""
_EYES_ABOVE = 0.6
"""Part of a face's box, from its top, that eyes are detected in."""
_EYES_SIDE = 96
"""Width, in pixels, of the face that eyes are detected in."""
_EYES = 2


@dataclass(frozen=True)
class Face:
    """A face's box in pixels, inside the picture and as tight as Haar's."""

    left: int
    top: int
    width: int
    height: int
    score: float = 0.0
    """0 to 1; 0 if the detector gives none, as Haar's."""

    def crop(self, pixels: Pixels) -> Pixels:
        """Return the face's part of its picture, in colour or grey."""
        return pixels[self.top : self.top + self.height, self.left : self.left + self.width]

    def scaled(self, x: float, y: float) -> "Face":
        """Return the same face in a copy of the picture that is `x` times as wide and `y` times as high."""
        left, top = round(self.left * x), round(self.top * y)
        return Face(left, top, round(self.width * x), round(self.height * y), self.score)

    def box_in(self, pixels: Pixels) -> pb.BoundingBox:
        """Return the box in fractions of the picture."""
        height, width = pixels.shape[:2]
        return pb.BoundingBox(
            left=self.left / width, top=self.top / height, width=self.width / width, height=self.height / height
        )


class HaarFaces:
    """The face and eye cascades. Each thread loads its own at first use, so this is thread-safe."""

    def __init__(self) -> None:
        self._cascades = _Cascades()

    def find(self, pixels: Pixels) -> list[Face]:
        """Return all faces of an RGB picture [height, width, 3] that show two eyes, from left to right."""
        return distinct(clipped((face for face in self.candidates(pixels) if self.has_eyes(pixels, face)), pixels))

    def candidates(self, pixels: Pixels) -> list[Face]:
        """Return what may be faces, detected in a copy of at most WORKING_SIDE."""
        small = at_most(pixels, WORKING_SIDE)
        x, y = pixels.shape[1] / small.shape[1], pixels.shape[0] / small.shape[0]
        return [face.scaled(x, y) for face in self.boxes(small, _STEP, _MIN_SIDE)]

    def has_eyes(self, pixels: Pixels, face: Face) -> bool:
        """Return whether the upper part of the face shows two eyes."""
        upper = Face(face.left, face.top, face.width, round(face.height * _EYES_ABOVE)).crop(pixels)
        return len(self._cascades.eye.detectMultiScale(grey(at_most(upper, _EYES_SIDE)), 1.1, 3)) >= _EYES

    def boxes(self, pixels: Pixels, step: float, min_side: int) -> list[Face]:
        """Return the face cascade's boxes, sorted: OpenCV's own order depends on its number of threads."""
        boxes = self._cascades.face.detectMultiScale(grey(pixels), step, 5, minSize=(min_side, min_side))
        return sorted((Face(*(int(value) for value in box)) for box in boxes), key=_position)

    def has_eyes_as_published(self, greys: Pixels) -> bool:
        """Return whether the eye cascade, with OpenCV's defaults, detects two eyes in a grey face."""
        return len(self._cascades.eye.detectMultiScale(greys)) >= _EYES


class _Cascades(threading.local):
    """Detecting changes a cascade, so each thread has its own."""

    def __init__(self) -> None:
        self.face = _cascade("haarcascade_frontalface_default.xml")
        self.eye = _cascade("haarcascade_eye.xml")


def grey(pixels: Pixels) -> Pixels:
    """Return the picture without colours, [height, width]."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def at_most(pixels: Pixels, side: int) -> Pixels:
    """Return the picture, shrunk so that neither side is longer than `side`."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def clipped(faces: Iterable[Face], pixels: Pixels) -> Iterator[Face]:
    """Yield the parts of the faces that lie inside the picture."""
    for face in faces:
        left, top = max(0, face.left), max(0, face.top)
        right = min(pixels.shape[1], face.left + face.width)
        bottom = min(pixels.shape[0], face.top + face.height)
        if right > left and bottom > top:
            yield Face(left, top, right - left, bottom - top, face.score)


def distinct(faces: Iterable[Face]) -> list[Face]:
    """Return the faces from left to right, without those that share half of the smaller face with an earlier one."""
    kept: list[Face] = []
    for face in faces:
        if not any(share_of_smaller(face, other) > 0.5 for other in kept):  # noqa: PLR2004 - half
            kept.append(face)
    return sorted(kept, key=_position)


def _cascade(name: str) -> Any:
    return cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / name))


def _position(face: Face) -> tuple[int, int]:
    return face.left, face.top
