"""Finds faces with OpenCV's Haar cascades. Imported only by what looks at faces: OpenCV is not small."""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.images.image import Pixels

WORKING_SIDE = 640
"""Pixels of the longer side of the picture that faces are looked for in when recognizing."""
LEAST_SIDE = 32
"""Pixels of the working picture: a smaller face is not looked for."""
STEP = 1.25
"""From one size of faces to the next. The published 1.3 misses faces in the small working picture."""
EYES_ABOVE = 0.6
"""The part of a face's box, from its top, in which eyes are looked for."""
EYES_SIDE = 96
"""Pixels across of the face in which eyes are looked for."""
_EYES = 2


@dataclass(frozen=True)
class Face:
    """A face's box in pixels, inside the picture and as tight as Haar's."""

    left: int
    top: int
    width: int
    height: int
    score: float = 0.0
    """0 to 1; 0 where the detector tells none, as Haar's."""

    def crop(self, pixels: Pixels) -> Pixels:
        """The face's part of the picture it was found in, in colour or grey."""
        return pixels[self.top : self.top + self.height, self.left : self.left + self.width]

    def moved(self, across: float, down: float) -> "Face":
        """The same face in a picture so many times as wide and as high."""
        left, top = round(self.left * across), round(self.top * down)
        return Face(left, top, round(self.width * across), round(self.height * down), self.score)

    def box_in(self, pixels: Pixels) -> pb.BoundingBox:
        """The box in shares of the picture."""
        height, width = pixels.shape[:2]
        return pb.BoundingBox(
            left=self.left / width, top=self.top / height, width=self.width / width, height=self.height / height
        )


class HaarFaces:
    """The cascades, loaded in each thread at its first look. Safe to share between threads."""

    def __init__(self) -> None:
        self._cascades = _Cascades()

    def find(self, pixels: Pixels) -> list[Face]:
        """All faces of an RGB picture [height, width, 3] that show two eyes, from left to right."""
        return distinct(clipped((face for face in self.candidates(pixels) if self.has_eyes(pixels, face)), pixels))

    def candidates(self, pixels: Pixels) -> list[Face]:
        """What may be faces, looked for in a picture of at most WORKING_SIDE."""
        small = at_most(pixels, WORKING_SIDE)
        across, down = pixels.shape[1] / small.shape[1], pixels.shape[0] / small.shape[0]
        return [face.moved(across, down) for face in self.boxes(small, STEP, LEAST_SIDE)]

    def has_eyes(self, pixels: Pixels, face: Face) -> bool:
        """Whether the upper part of the face shows two eyes."""
        upper = Face(face.left, face.top, face.width, round(face.height * EYES_ABOVE)).crop(pixels)
        return len(self._cascades.eye.detectMultiScale(grey(at_most(upper, EYES_SIDE)), 1.1, 3)) >= _EYES

    def boxes(self, pixels: Pixels, step: float, least: int) -> list[Face]:
        """The face cascade's boxes, in order: OpenCV's own depends on how many threads it has."""
        found = self._cascades.face.detectMultiScale(grey(pixels), step, 5, minSize=(least, least))
        return sorted((Face(*(int(value) for value in box)) for box in found), key=_place)

    def has_eyes_as_published(self, greys: Pixels) -> bool:
        """Whether the eye cascade with OpenCV's own settings finds two eyes in a grey face."""
        return len(self._cascades.eye.detectMultiScale(greys)) >= _EYES


class _Cascades(threading.local):
    """A cascade is changed by looking with it: each thread has its own."""

    def __init__(self) -> None:
        self.face = _cascade("haarcascade_frontalface_default.xml")
        self.eye = _cascade("haarcascade_eye.xml")


def grey(pixels: Pixels) -> Pixels:
    """The picture without its colours, [height, width]."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def at_most(pixels: Pixels, side: int) -> Pixels:
    """The picture, shrunk so that neither side is longer."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def clipped(faces: Iterable[Face], pixels: Pixels) -> Iterator[Face]:
    """The parts of the faces that lie in the picture."""
    for face in faces:
        left, top = max(0, face.left), max(0, face.top)
        right = min(pixels.shape[1], face.left + face.width)
        bottom = min(pixels.shape[0], face.top + face.height)
        if right > left and bottom > top:
            yield Face(left, top, right - left, bottom - top, face.score)


def distinct(faces: Iterable[Face]) -> list[Face]:
    """From left to right, without those that share more than half of the smaller face with an earlier one."""
    kept: list[Face] = []
    for face in faces:
        if not any(_overlap(face, other) > 0.5 for other in kept):  # noqa: PLR2004 - half
            kept.append(face)
    return sorted(kept, key=_place)


def _cascade(name: str) -> Any:
    return cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / name))


def _overlap(one: Face, other: Face) -> float:
    """The common area as a share of the smaller face."""
    across = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    down = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    smaller = min(one.width * one.height, other.width * other.height)
    return max(0, across) * max(0, down) / smaller


def _place(face: Face) -> tuple[int, int]:
    return face.left, face.top
