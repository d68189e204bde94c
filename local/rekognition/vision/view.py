"""A picture and its faces, as dlib's free models see them."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from services.runtime.images.detector import FaceDetector
from services.runtime.images.faces import Face
from services.runtime.images.image import Pixels
from services.svm.faces.alignment import DlibAlignment
from services.svm.networks.dlib_resnet import ResNet
from services.svm.networks.network import DLIB

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import BoundingBoxTypeDef

Embedding = npt.NDArray[np.float32]

MAX_SIDE = 1024
"""Larger pictures are shrunk. A face of 80 pixels is found in 50 ms."""


@dataclass(frozen=True)
class Eyes:
    """Four corners and the base of the nose as [x, y] of the view; left is the picture's left."""

    left: npt.NDArray[np.float64]
    """[2, 2]: its left corner and its right one."""
    right: npt.NDArray[np.float64]
    nose: npt.NDArray[np.float64]


class View:
    """A picture of at most 1024 pixels a side, and its faces. Safe to share between threads."""

    def __init__(self, content: bytes, pixels: Pixels, vision: "Vision") -> None:
        self.digest = hashlib.sha256(content).hexdigest()
        self.pixels = _shrink(pixels)
        self.scale = max(pixels.shape[:2]) / max(self.pixels.shape[:2])
        """Pixels of the original picture per pixel of the view."""
        self._vision = vision
        self.faces = tuple(vision.find_faces(self.pixels))
        """From left to right."""

    @cached_property
    def embeddings(self) -> npt.NDArray[np.float32]:
        """[faces, 128]."""
        return self._vision.embed(self.pixels, self.faces)

    @cached_property
    def eyes(self) -> tuple[Eyes, ...]:
        """The eyes of each face."""
        return tuple(self._vision.find_eyes(self.pixels, face) for face in self.faces)

    def by_area(self) -> list[int]:
        """Return the indexes of the faces, largest first."""
        return sorted(range(len(self.faces)), key=self._area, reverse=True)

    def largest(self, count: int) -> list[int]:
        """Return the indexes of so many largest faces, from left to right."""
        return sorted(self.by_area()[:count])

    def box(self, face: Face) -> "BoundingBoxTypeDef":
        """Return the face's box in shares of the picture; like AWS's, it may reach past the edges."""
        height, width = self.pixels.shape[:2]
        return {
            "Left": face.left / width,
            "Top": face.top / height,
            "Width": face.width / width,
            "Height": face.height / height,
        }

    def crop(self, face: Face) -> Pixels:
        """Return the face's part of the picture."""
        top, left = max(0, face.top), max(0, face.left)
        return self.pixels[top : face.top + face.height, left : face.left + face.width]

    def _area(self, index: int) -> int:
        return self.faces[index].width * self.faces[index].height


class Vision:
    """dlib's detector, landmarks and embedding. Safe to share between threads."""

    def __init__(self) -> None:
        self._detector = FaceDetector(turn=False)
        self._alignment = DlibAlignment()
        self._network = ResNet()

    def view(self, content: bytes, pixels: Pixels) -> View:
        """Find the faces of the decoded picture; eyes and embeddings follow on demand."""
        return View(content, pixels, self)

    def find_faces(self, pixels: Pixels) -> list[Face]:
        """Return the faces."""
        return self._detector.find(pixels).faces

    def embed(self, pixels: Pixels, faces: tuple[Face, ...]) -> npt.NDArray[np.float32]:
        """Return [faces, 128], equal to dlib's own embeddings."""
        if not faces:
            return np.empty((0, DLIB.length), np.float32)
        return self._network.embed(np.stack([self._alignment.chip(pixels, face) for face in faces]))

    def find_eyes(self, pixels: Pixels, face: Face) -> Eyes:
        """Return the face's five landmarks, ordered by their place in the picture."""
        points = self._alignment.landmarks(pixels, face).astype(float)
        corners = [pair[np.argsort(pair[:, 0])] for pair in (points[0:2], points[2:4])]
        left, right = sorted(corners, key=lambda pair: float(pair[:, 0].mean()))
        return Eyes(left, right, points[4])


def _shrink(pixels: Pixels) -> Pixels:
    scale = MAX_SIDE / max(pixels.shape[:2])
    if scale >= 1:
        return np.ascontiguousarray(pixels)
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
