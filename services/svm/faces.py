"""Detection and measurement of faces: boxes, landmarks, pose, quality and aligned chips.

Boxes are Haar's, each confirmed by two eyes or else by dlib's detector. dlib's weights come from the package
face-recognition-models, located without importing it: its own module needs pkg_resources. Its 68-point landmarks are
not free for commercial use and are not read.
"""

import math
import threading
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import dlib
import numpy as np
import numpy.typing as npt

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.images.haar import WORKING_SIDE, Face, HaarFaces, at_most, clipped, distinct, grey
from services.runtime.images.image import Pixels

CHIP_SIDE = 150
"""Pixels of a chip, the aligned square picture of a face."""
HOG_SIDE = 100
"""Width in pixels of the face that dlib is shown; it finds faces of 80 and more."""
HOG_WIDTHS = 1.11
"""A Haar box's width in widths of dlib's box around the same face, median of 248 pairs (0.97 to 1.27)."""
HOG_RAISE = 0.08
"""How far above the centre of dlib's box the Haar box's is, in dlib's heights, of the same pairs."""
SMALL_PICTURE = WORKING_SIDE // 2
"""Pixels of the longer side of a picture that dlib sees doubled, so that it finds faces of 40 in it."""
_MARGIN = 0.35
_NOSE_DEPTH = 0.55
"""How far the nose stands before the eyes, in distances between them."""
_NOSE_DROP = 0.84
"""How far below the eyes the nose ends, likewise: the median of 110 faces that look ahead."""
_QUALITY_SIDE = 128
_HALF_SHARP = 100.0
"""The variance of the Laplacian, at 128x128 pixels, of a face that is half sharp."""
Point = npt.NDArray[np.float64]


class FaceFinder:
    """The detectors, loaded in each thread at its first use. Thread-safe."""

    def __init__(self) -> None:
        self._haar = HaarFaces()
        self._dlib = DlibFaces()

    def find(self, pixels: Pixels) -> list[Face]:
        """Return all faces of an RGB picture [height, width, 3], from left to right.

        Haar's boxes count if they have two eyes. dlib checks those without, and searches the whole picture if
        none is left.
        """
        faces = [face for box in self._haar.candidates(pixels) for face in self._confirmed(pixels, box)]
        return distinct(clipped(faces or self._in_whole_picture(pixels), pixels))

    def landmarks(self, pixels: Pixels, face: Face) -> "Landmarks":
        """Return the landmarks of a face in the picture."""
        return Landmarks.from_dlib(self._dlib.landmarks(pixels, as_dlib(face)))

    def find_as_published(self, pixels: Pixels) -> list[Face]:
        """Return Haar's faces with two or more eyes, in the picture's full size, from left to right."""
        greys = grey(pixels)
        return [face for face in self._haar.boxes(pixels, 1.3, 0) if self._haar.has_eyes_as_published(face.crop(greys))]

    def _confirmed(self, pixels: Pixels, face: Face) -> list[Face]:
        return [face] if self._haar.has_eyes(pixels, face) else self._second_opinion(pixels, face)

    def _in_whole_picture(self, pixels: Pixels) -> list[Face]:
        small = at_most(pixels, WORKING_SIDE)
        across, down = pixels.shape[1] / small.shape[1], pixels.shape[0] / small.shape[0]
        upsample = int(max(small.shape[:2]) <= SMALL_PICTURE)
        return [_as_haar(face).scaled(across, down) for face in self._dlib.detect(small, upsample=upsample)]

    def _second_opinion(self, pixels: Pixels, face: Face) -> list[Face]:
        """Return what dlib finds around the face, resized to the size that dlib knows."""
        margin = round(face.width * _MARGIN)
        wide = Face(face.left - margin, face.top - margin, face.width + 2 * margin, face.height + 2 * margin)
        (around,) = clipped([wide], pixels)
        scale = HOG_SIDE / face.width
        size = (max(1, round(around.width * scale)), max(1, round(around.height * scale)))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        close_up = np.asarray(cv2.resize(around.crop(pixels), size, interpolation=method), dtype=np.uint8)
        faces = [_as_haar(one).scaled(1 / scale, 1 / scale) for one in self._dlib.detect(close_up)]
        return [Face(one.left + around.left, one.top + around.top, one.width, one.height, one.score) for one in faces]


@dataclass(frozen=True)
class Landmarks:
    """In pixels (x, y); left and right are the picture's."""

    eye_left: Point
    eye_right: Point
    nose: Point

    @classmethod
    def from_dlib(cls, points: npt.NDArray[np.int64]) -> "Landmarks":
        """From dlib's five points [5, 2]: an eye's two corners, the other eye's, the nose's lower end."""
        eyes = sorted((points[0:2].mean(axis=0), points[2:4].mean(axis=0)), key=lambda eye: float(eye[0]))
        return cls(eyes[0], eyes[1], points[4].astype(np.float64))

    def pose(self) -> pb.Pose:
        """Return the head's angles, good to about ten degrees."""
        across = self.eye_right - self.eye_left
        apart = max(1.0, float(np.hypot(*across)))
        along = across / apart
        nose = (self.nose - (self.eye_left + self.eye_right) / 2) / apart
        aside, below = float(nose @ along), float(nose @ (-along[1], along[0]))
        return pb.Pose(
            roll=math.degrees(math.atan2(across[1], across[0])),
            yaw=math.degrees(math.atan(aside / _NOSE_DEPTH)),
            pitch=math.degrees(math.atan((_NOSE_DROP - below) / _NOSE_DEPTH)),
        )

    def messages(self, width: int, height: int) -> list[pb.Landmark]:
        """Return the points in shares of a picture of this size."""
        points = {"eyeLeft": self.eye_left, "eyeRight": self.eye_right, "nose": self.nose}
        return [pb.Landmark(type=name, x=point[0] / width, y=point[1] / height) for name, point in points.items()]


def quality(face: Pixels) -> pb.FaceQuality:
    """Measure an RGB face: brightness is the mean grey; sharpness grows with the strength of fine detail."""
    side = (_QUALITY_SIDE, _QUALITY_SIDE)
    small = cv2.cvtColor(cv2.resize(face, side, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    detail = cv2.Laplacian(small, cv2.CV_32F).var()
    return pb.FaceQuality(sharpness=detail / (detail + _HALF_SHARP), brightness=small.mean() / 255)


@dataclass(frozen=True)
class DetectedFace:
    """A face in pixels of the picture it was found in; it may reach past the picture's edges."""

    left: int
    top: int
    width: int
    height: int
    score: float
    """The detector's own: above 0, about 1 for a clear frontal face, not a probability."""


class DlibFaces:
    """Detector and landmarks, loaded at first use. Thread-safe, one call at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def detect(self, pixels: Pixels, upsample: int = 0, min_score: float = 0.0) -> list[DetectedFace]:
        """Return upright faces of about 80 pixels and more (40 when upsampled once), from left to right."""
        with self._lock:
            boxes, scores, _ = self._detector.run(pixels, upsample, min_score)
        faces = [
            DetectedFace(box.left(), box.top(), box.width(), box.height(), score)
            for box, score in zip(boxes, scores, strict=True)
        ]
        return sorted(faces, key=lambda face: (face.left, face.top))

    def landmarks(self, pixels: Pixels, face: DetectedFace) -> npt.NDArray[np.int64]:
        """Return five points as [5, 2] pixels (x, y): right eye's outer and inner corner, left eye's, nose."""
        with self._lock:
            shape = self._shape(pixels, face)
        return np.array([(point.x, point.y) for point in shape.parts()])

    def chip(self, pixels: Pixels, face: DetectedFace) -> Pixels:
        """Return the face turned upright and sized by its landmarks: [150, 150, 3], the ResNet's input."""
        with self._lock:
            return np.asarray(dlib.get_face_chip(pixels, self._shape(pixels, face), CHIP_SIDE, 0.25), dtype=np.uint8)

    def _shape(self, pixels: Pixels, face: DetectedFace) -> Any:
        right, bottom = face.left + face.width - 1, face.top + face.height - 1
        return self._predictor(pixels, dlib.rectangle(face.left, face.top, right, bottom))

    @cached_property
    def _detector(self) -> Any:
        return dlib.get_frontal_face_detector()

    @cached_property
    def _predictor(self) -> Any:
        return dlib.shape_predictor(str(weights("shape_predictor_5_face_landmarks.dat")))


def as_dlib(face: Face) -> DetectedFace:
    """Return the box that dlib would draw around a Haar face: its landmarks are learnt in such."""
    width, height = face.width / HOG_WIDTHS, face.height / HOG_WIDTHS
    left = face.left + (face.width - width) / 2
    top = face.top + (face.height - height) / 2 + height * HOG_RAISE
    return DetectedFace(round(left), round(top), round(width), round(height), face.score)


def weights(name: str) -> Path:
    """Return the path of a weights file in the package face-recognition-models."""
    spec = find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"{name}: install the package face-recognition-models")
    return Path(spec.submodule_search_locations[0]) / "models" / name


def _as_haar(face: DetectedFace) -> Face:
    """Return the box that Haar would draw around dlib's face: the features need the same part of it."""
    width, height = face.width * HOG_WIDTHS, face.height * HOG_WIDTHS
    left = face.left + (face.width - width) / 2
    top = face.top + (face.height - height) / 2 - face.height * HOG_RAISE
    return Face(round(left), round(top), round(width), round(height), min(1.0, face.score))
