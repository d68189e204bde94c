"""What the detectors see in a picture: dlib's faces and OpenCV's cats."""

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import cv2.data
import numpy as np
import numpy.typing as npt

from services.runtime.images import Pixels
from services.svm.dlib_faces import DetectedFace, DlibFaces
from services.svm.quality import quality

if TYPE_CHECKING:
    from mypy_boto3_rekognition.literals import LandmarkTypeType
    from mypy_boto3_rekognition.type_defs import BoundingBoxTypeDef, ComparedFaceTypeDef, LandmarkTypeDef

Embedding = npt.NDArray[np.float64]

_MAX_SIDE = 1024
"""Larger pictures are shrunk: a face of 40 pixels is still found, and a look takes at most 0.4 s on one core."""
_LEAST_SCORE = 0.5
"""The demo's real faces score 0.8 to 1.5, things that dlib takes for a face up to 0.49."""
_CAT_NEIGHBOURS = 3
"""With fewer, the cascade takes faces and gravel for cats; with these it misses most cats and names nothing else."""


@dataclass(frozen=True)
class Cat:
    """A cat's face in pixels of the view."""

    left: int
    top: int
    width: int
    height: int
    hits: int
    """How many overlapping windows the detector found it in."""

    @property
    def confidence(self) -> float:
        """0 to 100: every hit halves the doubt. The cascade tells nothing better."""
        return 100 * (1 - 0.5**self.hits)


@dataclass(frozen=True)
class View:
    """A picture of at most 1024 pixels a side, and what was found in it."""

    pixels: Pixels
    faces: tuple[DetectedFace, ...]
    cats: tuple[Cat, ...]

    def box(self, found: DetectedFace | Cat) -> "BoundingBoxTypeDef":
        """Its place in shares of the picture; like AWS's it may reach past the edges."""
        height, width = self.pixels.shape[:2]
        return {
            "Left": found.left / width,
            "Top": found.top / height,
            "Width": found.width / width,
            "Height": found.height / height,
        }


class Vision:
    """The detectors. Safe to share between threads, one picture at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faces = DlibFaces()
        self._cats = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalcatface_extended.xml")

    def look(self, pixels: Pixels) -> View:
        """Finds faces and cats in an upright RGB picture."""
        small = _shrink(pixels)
        with self._lock:
            faces = self._faces.detect(small, upsample=1, least_score=_LEAST_SCORE)
            return View(small, tuple(faces), self._find_cats(small))

    def embed(self, view: View, face: DetectedFace) -> Embedding:
        """The face as 128 numbers."""
        return self._faces.embed(view.pixels, face)

    def describe(self, view: View, face: DetectedFace) -> "ComparedFaceTypeDef":
        """The face as Rekognition describes it, without what dlib does not see: mouth, yaw, pitch, emotions."""
        eye_left, eye_right, nose = _points(self._faces.landmarks(view.pixels, face))
        seen = quality(_crop(view.pixels, face))
        roll = math.degrees(math.atan2(eye_right[1] - eye_left[1], eye_right[0] - eye_left[0]))
        return {
            "BoundingBox": view.box(face),
            "Confidence": confidence(face),
            "Landmarks": _landmarks(view, {"eyeLeft": eye_left, "eyeRight": eye_right, "nose": nose}),
            "Pose": {"Roll": roll},
            "Quality": {"Brightness": 100 * seen.brightness, "Sharpness": 100 * seen.sharpness},
        }

    def _find_cats(self, pixels: Pixels) -> tuple[Cat, ...]:
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        boxes, hits = self._cats.detectMultiScale2(grey, minNeighbors=_CAT_NEIGHBOURS, minSize=(60, 60))
        return tuple(_cat(box, count) for box, count in zip(boxes, hits, strict=True))


def confidence(face: DetectedFace) -> float:
    """0 to 100, from the detector's score: 92 at the least score that counts, 99 at 1."""
    return 100 / (1 + math.exp(-5 * face.score))


def _cat(box: Sequence[int], hits: int) -> Cat:
    left, top, width, height = map(int, box)
    return Cat(left, top, width, height, int(hits))


def _shrink(pixels: Pixels) -> Pixels:
    scale = _MAX_SIDE / max(pixels.shape[:2])
    if scale >= 1:
        return np.ascontiguousarray(pixels)
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _crop(pixels: Pixels, face: DetectedFace) -> Pixels:
    top, left = max(0, face.top), max(0, face.left)
    return pixels[top : face.top + face.height, left : face.left + face.width]


def _points(corners: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """From dlib's five points to the eye on the picture's left, the other one and the nose, as [3, 2] pixels."""
    eyes = sorted([corners[0:2].mean(axis=0), corners[2:4].mean(axis=0)], key=lambda eye: float(eye[0]))
    return np.array([*eyes, corners[4]])


def _landmarks(view: View, points: "dict[LandmarkTypeType, npt.NDArray[np.float64]]") -> "list[LandmarkTypeDef]":
    height, width = view.pixels.shape[:2]
    return [{"Type": kind, "X": float(x) / width, "Y": float(y) / height} for kind, (x, y) in points.items()]
