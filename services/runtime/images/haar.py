"""Face detection with OpenCV's Haar cascades. Imported only by what detects faces: OpenCV is large."""

import threading
from pathlib import Path
from typing import Any

import cv2

from services.runtime.images.faces import Face, at_most, clipped, distinct, grey, position
from services.runtime.images.image import Pixels

_WORKING_SIDE = 640
"""Longer side, in pixels, of the copy that faces are detected in for recognition."""
_MIN_SIDE = 32
"""Smallest face that is detected, in pixels of that copy."""
_STEP, _PUBLISHED_STEP = 1.25, 1.3
"""Ratio of one face size to the next. The published one misses faces in the small copy."""
_EYES_ABOVE = 0.6
"""Part of a face's box, from its top, that eyes are detected in."""
_EYES_SIDE = 96
"""Width, in pixels, of the face that eyes are detected in."""
_EYES = 2


class HaarFaces:
    """The face and eye cascades. Each thread loads its own at first use, so this is thread-safe."""

    def __init__(self) -> None:
        self._cascades = _Cascades()

    def find(self, pixels: Pixels) -> list[Face]:
        """Return all faces of an RGB picture [height, width, 3] that show two eyes, from left to right."""
        return distinct(clipped((face for face in self.candidates(pixels) if self.has_eyes(pixels, face)), pixels))

    def candidates(self, pixels: Pixels) -> list[Face]:
        """Return what may be faces, in a copy of at most 640 pixels."""
        small = at_most(pixels, _WORKING_SIDE)
        x, y = pixels.shape[1] / small.shape[1], pixels.shape[0] / small.shape[0]
        return [face.scaled(x, y) for face in self._boxes(small, _STEP, _MIN_SIDE)]

    def has_eyes(self, pixels: Pixels, face: Face) -> bool:
        """Return whether the upper part of the face shows two eyes."""
        upper = Face(face.left, face.top, face.width, round(face.height * _EYES_ABOVE)).crop(pixels)
        return len(self._cascades.eye.detectMultiScale(grey(at_most(upper, _EYES_SIDE)), 1.1, 3)) >= _EYES

    def find_as_published(self, pixels: Pixels) -> list[Face]:
        """Return the faces with two or more eyes, in the picture's full size and by OpenCV's defaults, likewise."""
        greys, eye = grey(pixels), self._cascades.eye
        faces = self._boxes(pixels, _PUBLISHED_STEP, 0)
        return [face for face in faces if len(eye.detectMultiScale(face.crop(greys))) >= _EYES]

    def _boxes(self, pixels: Pixels, step: float, min_side: int) -> list[Face]:
        """Return the face cascade's boxes, sorted: OpenCV's own order depends on its number of threads."""
        boxes = self._cascades.face.detectMultiScale(grey(pixels), step, 5, minSize=(min_side, min_side))
        faces = (Face(int(left), int(top), int(width), int(height)) for left, top, width, height in boxes)
        return sorted(faces, key=position)


class _Cascades(threading.local):
    """Detecting changes a cascade, so each thread has its own."""

    def __init__(self) -> None:
        self.face = _cascade("haarcascade_frontalface_default.xml")
        self.eye = _cascade("haarcascade_eye.xml")


def _cascade(name: str) -> Any:
    return cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / name))
