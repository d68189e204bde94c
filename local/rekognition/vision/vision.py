"""What the detectors see in a picture: dlib's faces and OpenCV's cats."""

import hashlib
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import cv2.data
import numpy as np
import numpy.typing as npt

from local.rekognition.vision.cats import Cat, CatFinder
from services.runtime.images.image import Pixels
from services.svm.faces.dlib_faces import DetectedFace, DlibFaces, weights
from services.svm.faces.resnet import LENGTH, ResNet
from services.svm.recipes.embedding import WEIGHTS

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import BoundingBoxTypeDef

Embedding = npt.NDArray[np.float32]

MAX_SIDE = 1024
"""Larger pictures are shrunk. A face of 80 pixels is found in 50 ms."""
_SMALL = 640
_DOUBTED = 0.5
"""What dlib takes for a face in a doubled picture scores up to 0.49; the demo's real ones score 0.8 to 1.5."""


@dataclass(frozen=True)
class Eyes:
    """Four corners and the nose's base as [x, y] of the view; left is the picture's left."""

    left: npt.NDArray[np.float64]
    """[2, 2]: its left corner and its right one."""
    right: npt.NDArray[np.float64]
    nose: npt.NDArray[np.float64]


class View:
    """A picture of at most 1024 pixels a side, and what is in it. Safe to share between threads."""

    def __init__(self, content: bytes, pixels: Pixels, vision: "Vision") -> None:
        self.digest = hashlib.sha256(content).hexdigest()
        self.pixels = _at_most(pixels)
        self.scale = max(pixels.shape[:2]) / max(self.pixels.shape[:2])
        """Pixels of the picture as it was sent to one of the view."""
        self._vision = vision
        self.faces = tuple(vision.find_faces(self.pixels))
        """From left to right."""

    @cached_property
    def cats(self) -> tuple[Cat, ...]:
        """The cats, looked for when somebody asks."""
        return self._vision.find_cats(self.pixels)

    @cached_property
    def embeddings(self) -> npt.NDArray[np.float32]:
        """[faces, 128]."""
        return self._vision.embed(self.pixels, self.faces)

    @cached_property
    def eyes(self) -> tuple[Eyes, ...]:
        """Of each face."""
        return tuple(self._vision.find_eyes(self.pixels, face) for face in self.faces)

    def largest(self) -> int | None:
        """The index of the largest face."""
        return max(range(len(self.faces)), key=self.area, default=None)

    def area(self, index: int) -> int:
        """A face's in pixels of the view."""
        return self.faces[index].width * self.faces[index].height

    def box(self, found: DetectedFace | Cat) -> "BoundingBoxTypeDef":
        """Its place in shares of the picture; like AWS's it may reach past the edges."""
        height, width = self.pixels.shape[:2]
        return {
            "Left": found.left / width,
            "Top": found.top / height,
            "Width": found.width / width,
            "Height": found.height / height,
        }

    def crop(self, face: DetectedFace) -> Pixels:
        """The face's part of the picture."""
        top, left = max(0, face.top), max(0, face.left)
        return self.pixels[top : face.top + face.height, left : face.left + face.width]


class Vision:
    """The detectors. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faces = DlibFaces()
        self._cats = CatFinder()
        self._network = ResNet(weights(WEIGHTS))

    def look(self, content: bytes, pixels: Pixels) -> View:
        """Finds the faces of the decoded picture; the rest when it is asked for."""
        return View(content, pixels, self)

    def find_faces(self, pixels: Pixels) -> list[DetectedFace]:
        """Small pictures, and those in which nobody is seen, are looked at doubled: faces of 40 pixels count."""
        small = max(pixels.shape[:2]) <= _SMALL
        found = [] if small else self._faces.detect(pixels)
        return found or self._faces.detect(pixels, upsample=1, least_score=_DOUBTED)

    def find_cats(self, pixels: Pixels) -> tuple[Cat, ...]:
        """Cats that look at the camera."""
        with self._lock:  # a cascade is changed by looking with it
            return self._cats.find(pixels)

    def embed(self, pixels: Pixels, faces: tuple[DetectedFace, ...]) -> npt.NDArray[np.float32]:
        """[faces, 128]; dlib's own numbers."""
        if not faces:
            return np.empty((0, LENGTH), np.float32)
        return self._network.embed(np.stack([self._faces.chip(pixels, face) for face in faces]))

    def find_eyes(self, pixels: Pixels, face: DetectedFace) -> Eyes:
        """The five points, by where they are in the picture."""
        points = self._faces.landmarks(pixels, face).astype(float)
        corners = [pair[np.argsort(pair[:, 0])] for pair in (points[0:2], points[2:4])]
        left, right = sorted(corners, key=lambda pair: float(pair[:, 0].mean()))
        return Eyes(left, right, points[4])


def _at_most(pixels: Pixels) -> Pixels:
    scale = MAX_SIDE / max(pixels.shape[:2])
    if scale >= 1:
        return np.ascontiguousarray(pixels)
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
