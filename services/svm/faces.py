"""Finds faces: Haar's boxes, each confirmed by two eyes or else by dlib's detector."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.images import Pixels
from services.svm.dlib_faces import DetectedFace, DlibFaces
from services.svm.landmarks import Landmarks

WORKING_SIDE = 640
"""Pixels of the longer side of the picture that faces are looked for in when recognizing."""
LEAST_SIDE = 32
"""Pixels of the working picture: a smaller face is not looked for."""
STEP = 1.2
"""From one size of faces to the next. The published 1.3 misses faces in the small working picture."""
EYES_ABOVE = 0.6
"""The part of a face's box, from its top, in which eyes are looked for."""
EYES_SIDE = 96
"""Pixels across of the face in which eyes are looked for."""
HOG_SIDE = 100
"""Pixels across of the face that dlib is shown; it finds faces of 80 and more."""
HOG_WIDTHS = 1.11
"""A Haar box's width in widths of dlib's box around the same face, median of 248 pairs (0.97 to 1.27)."""
HOG_RAISE = 0.08
"""How far above the centre of dlib's box the Haar box's is, in dlib's heights, of the same pairs."""
SMALL_PICTURE = WORKING_SIDE // 2
"""Pixels of the longer side of a picture that dlib sees doubled, so that it finds faces of 40 in it."""
_MARGIN = 0.35


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

        Haar's boxes count with two eyes. dlib looks at those without, closely, and at the whole
        picture where none is left.
        """
        small = _at_most(pixels, WORKING_SIDE)
        across, down = pixels.shape[1] / small.shape[1], pixels.shape[0] / small.shape[0]
        boxes = self._haar(small, STEP, LEAST_SIDE)
        faces = [face for box in boxes for face in self._confirmed(pixels, _moved(box, across, down))]
        if not faces:
            closer = int(max(small.shape[:2]) <= SMALL_PICTURE)
            faces = [_moved(_as_haar(face), across, down) for face in self._dlib.detect(small, upsample=closer)]
        return sorted(_distinct(list(_clipped(faces, pixels))), key=_place)

    def landmarks(self, pixels: Pixels, face: Face) -> Landmarks:
        """Points of a face of the picture."""
        return Landmarks.of(self._dlib.landmarks(pixels, as_dlib(face)))

    def find_as_published(self, pixels: Pixels) -> list[Face]:
        """Haar's faces with two or more eyes, in the picture's full size, from left to right."""
        grey = _grey(pixels)
        faces = self._haar(pixels, 1.3, 0)
        return [face for face in faces if len(self._cascades.eye.detectMultiScale(face.crop(grey))) >= 2]  # noqa: PLR2004

    def _haar(self, pixels: Pixels, step: float, least: int) -> list[Face]:
        """In order: OpenCV's own depends on how many threads it has."""
        boxes = self._cascades.face.detectMultiScale(_grey(pixels), step, 5, minSize=(least, least))
        return sorted((Face(*(int(value) for value in box)) for box in boxes), key=_place)

    def _confirmed(self, pixels: Pixels, face: Face) -> list[Face]:
        upper = Face(face.left, face.top, face.width, round(face.height * EYES_ABOVE)).crop(pixels)
        eyes = self._cascades.eye.detectMultiScale(_grey(_at_most(upper, EYES_SIDE)), 1.1, 3)
        return [face] if len(eyes) >= 2 else self._second_opinion(pixels, face)  # noqa: PLR2004 - the two of a face

    def _second_opinion(self, pixels: Pixels, face: Face) -> list[Face]:
        """What dlib finds around the face, shown in the size that dlib knows."""
        margin = round(face.width * _MARGIN)
        wide = Face(face.left - margin, face.top - margin, face.width + 2 * margin, face.height + 2 * margin)
        (around,) = _clipped([wide], pixels)
        scale = HOG_SIDE / face.width
        size = (max(1, round(around.width * scale)), max(1, round(around.height * scale)))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        closely = np.asarray(cv2.resize(around.crop(pixels), size, interpolation=method), dtype=np.uint8)
        found = [_moved(_as_haar(seen), 1 / scale, 1 / scale) for seen in self._dlib.detect(closely)]
        return [Face(one.left + around.left, one.top + around.top, one.width, one.height, one.score) for one in found]


class _Cascades(threading.local):
    """A cascade is changed by looking with it: each thread has its own."""

    def __init__(self) -> None:
        self.face = _cascade("haarcascade_frontalface_default.xml")
        self.eye = _cascade("haarcascade_eye.xml")


def box_of(face: Face, pixels: Pixels) -> pb.BoundingBox:
    """The box in shares of the picture."""
    height, width = pixels.shape[:2]
    return pb.BoundingBox(
        left=face.left / width, top=face.top / height, width=face.width / width, height=face.height / height
    )


def as_dlib(face: Face) -> DetectedFace:
    """The box that dlib would draw around a Haar face: its landmarks are learnt in such."""
    width, height = face.width / HOG_WIDTHS, face.height / HOG_WIDTHS
    left = face.left + (face.width - width) / 2
    top = face.top + (face.height - height) / 2 + height * HOG_RAISE
    return DetectedFace(round(left), round(top), round(width), round(height), face.score)


def _cascade(name: str) -> Any:
    return cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / name))


def _grey(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _at_most(pixels: Pixels, side: int) -> Pixels:
    """The picture, shrunk so that neither side is longer."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
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


def _moved(face: Face, across: float, down: float) -> Face:
    left, top = round(face.left * across), round(face.top * down)
    return Face(left, top, round(face.width * across), round(face.height * down), face.score)


def _clipped(faces: list[Face], pixels: Pixels) -> Iterator[Face]:
    """The parts of the faces that lie in the picture."""
    for face in faces:
        left, top = max(0, face.left), max(0, face.top)
        right = min(pixels.shape[1], face.left + face.width)
        bottom = min(pixels.shape[0], face.top + face.height)
        if right > left and bottom > top:
            yield Face(left, top, right - left, bottom - top, face.score)


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
