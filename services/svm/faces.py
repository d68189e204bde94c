"""Finds faces: Haar with two eyes as the recipe was published, and dlib where that sees too little."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from services.runtime.images import Pixels
from services.svm.dlib_faces import DetectedFace, DlibFaces

WORKING_SIDE = 1024
"""Pixels of the longer side of the picture that faces are looked for in when recognizing."""
LEAST_HAAR_SIDE = 48
"""Pixels of the working picture. In a smaller face the eye cascade, 20 pixels wide, finds no two eyes."""
LEAST_HOG_SCORE = 0.2
"""dlib's own. Of 110 faces measured the faintest scores 0.23; emblems and folds of cloth score 0.08 to 0.14."""
HOG_WIDTHS = 1.11
"""A Haar box's width in widths of dlib's box around the same face, median of 248 pairs (0.97 to 1.27)."""
HOG_RAISE = 0.08
"""How far above the centre of dlib's box the Haar box's is, in dlib's heights, of the same pairs."""


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


class FaceFinder:
    """The detectors, loaded in each thread at its first look. Safe to share between threads."""

    def __init__(self) -> None:
        self._cascades = _Cascades()
        self._dlib = DlibFaces()

    def find(self, pixels: Pixels) -> list[Face]:
        """All faces of an RGB picture [height, width, 3], from left to right.

        dlib is asked where Haar finds nothing, or something without two eyes. Its faces count where
        no two-eyed one is already.
        """
        small = _working_size(pixels)
        seen = self._look(small, LEAST_HAAR_SIDE)
        faces = [face for face, eyes in seen if eyes >= 2]  # noqa: PLR2004 - the two of a face
        if not seen or len(faces) < len(seen):
            faces += [_as_haar(face) for face in self._dlib.detect(small, least_score=LEAST_HOG_SCORE)]
        height, width = pixels.shape[:2]
        grown = (_grow(face, width / small.shape[1], height / small.shape[0]) for face in faces)
        clipped = (_clip(face, width, height) for face in grown)
        return sorted(_distinct([face for face in clipped if face.width > 0 and face.height > 0]), key=_place)

    def find_as_published(self, pixels: Pixels) -> list[Face]:
        """Haar's faces with two or more eyes, in the picture's full size, from left to right."""
        faces = [face for face, eyes in self._look(pixels) if eyes >= 2]  # noqa: PLR2004 - likewise
        return sorted(faces, key=_place)

    def _look(self, pixels: Pixels, least: int = 0) -> list[tuple[Face, int]]:
        """Haar's faces, each with the number of its eyes."""
        grey: Pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        boxes = self._cascades.face.detectMultiScale(grey, 1.3, 5, minSize=(least, least))
        faces = [Face(*(int(value) for value in box)) for box in boxes]
        return [(face, len(self._cascades.eye.detectMultiScale(face.crop(grey)))) for face in faces]


class _Cascades(threading.local):
    """A cascade is changed by looking with it: each thread has its own."""

    def __init__(self) -> None:
        self.face = _cascade("haarcascade_frontalface_default.xml")
        self.eye = _cascade("haarcascade_eye.xml")


def _cascade(name: str) -> Any:
    return cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / name))


def _working_size(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    scale = WORKING_SIDE / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _as_haar(face: DetectedFace) -> Face:
    """The box that Haar would draw around dlib's face: the features need the same part of it."""
    width, height = face.width * HOG_WIDTHS, face.height * HOG_WIDTHS
    left = face.left + (face.width - width) / 2
    top = face.top + (face.height - height) / 2 - face.height * HOG_RAISE
    return Face(round(left), round(top), round(width), round(height), min(1.0, face.score))


def _grow(face: Face, across: float, down: float) -> Face:
    left, top = round(face.left * across), round(face.top * down)
    return Face(left, top, round(face.width * across), round(face.height * down), face.score)


def _clip(face: Face, width: int, height: int) -> Face:
    left, top = max(0, face.left), max(0, face.top)
    right, bottom = min(width, face.left + face.width), min(height, face.top + face.height)
    return Face(left, top, right - left, bottom - top, face.score)


def _distinct(faces: list[Face]) -> list[Face]:
    """Leaves out a face of which an earlier one covers more than half, or that covers so much of it."""
    kept: list[Face] = []
    for face in faces:
        if not any(_overlap(face, other) > 0.5 for other in kept):  # noqa: PLR2004 - half
            kept.append(face)
    return kept


def _overlap(one: Face, other: Face) -> float:
    """The common area as a share of the smaller face."""
    across = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    down = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    smaller = min(one.width * one.height, other.width * other.height)
    return max(0, across) * max(0, down) / smaller


def _place(face: Face) -> tuple[int, int]:
    return face.left, face.top
