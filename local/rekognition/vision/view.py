"""A picture and its faces, as free models see them: YuNet's boxes and points, dlib's embeddings."""

import os
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from services.runtime.images.detector import SMALLEST_FACE, FaceDetector
from services.runtime.images.faces import Detection, Face, at_most
from services.runtime.images.image import Pixels
from services.svm.faces.alignment import DlibAlignment
from services.svm.networks.dlib_resnet import ResNet

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import BoundingBoxTypeDef

Embedding = npt.NDArray[np.float32]

_SIDE = 1024
_SMALLEST_PIXELS = 20
"""Side of a view, and of the smallest face in it."""
_EYE_CORNERS = {"leftEyeLeft": 2, "leftEyeRight": 3, "rightEyeLeft": 1, "rightEyeRight": 0}
"""Rows of dlib's landmarks; left is the picture's."""


class View:
    """A picture, shrunk, and its faces: found and embedded at first use, and once. Safe to share between threads."""

    def __init__(self, pixels: Pixels, digest: str, vision: "Vision") -> None:
        self.digest = digest
        """The file's SHA-256 in hexadecimal."""
        self._pixels = np.ascontiguousarray(at_most(pixels, vision.side))
        self.scale = max(pixels.shape[:2]) / max(self._pixels.shape[:2])
        """Pixels of the original picture per pixel of the view."""
        self._vision = vision
        self._lock = Lock()  # cached_property's lock would be one for all views in Python 3.11
        self._detection: Detection | None = None
        self._embeddings: dict[int, Embedding] = {}

    @property
    def detection(self) -> Detection:
        """The view with its faces."""
        with self._lock:
            if self._detection is None:
                self._detection = self._vision.detect(self._pixels)
        return self._detection

    @property
    def faces(self) -> list[Face]:
        """The faces, from left to right."""
        return self.detection.faces

    def embedding(self, index: int) -> Embedding:
        """Return the embedding of the face with this index, [128]."""
        face = self.faces[index]
        with self._lock:
            if index not in self._embeddings:
                self._embeddings[index] = self._vision.embed(self._pixels, face)
            return self._embeddings[index]

    def by_area(self) -> list[int]:
        """Return the indexes of the faces, largest first."""
        return sorted(range(len(self.faces)), key=self._area, reverse=True)

    def largest(self, count: int) -> list[int]:
        """Return the indexes of so many largest faces, from left to right."""
        return sorted(self.by_area()[:count])

    def box(self, face: Face) -> "BoundingBoxTypeDef":
        """Return the face's box in shares of the picture; like AWS's, it may reach past the edges."""
        height, width = self._pixels.shape[:2]
        return {
            "Left": face.left / width,
            "Top": face.top / height,
            "Width": face.width / width,
            "Height": face.height / height,
        }

    def eye_corners(self, face: Face) -> dict[str, tuple[float, float]]:
        """Return the outer and inner corners of the eyes in shares of the picture, by Rekognition's names."""
        height, width = self._pixels.shape[:2]
        points = self._vision.landmarks(self._pixels, face) / (width, height)
        return {name: (float(points[row][0]), float(points[row][1])) for name, row in _EYE_CORNERS.items()}

    def _area(self, index: int) -> int:
        return self.faces[index].width * self.faces[index].height


class Vision:
    """Detector, landmarks and embedding. Safe to share between threads."""

    def __init__(self, smallest_face: float = SMALLEST_FACE) -> None:
        """Find faces of this share of the picture's longer side."""
        self.side = max(_SIDE, round(_SMALLEST_PIXELS / smallest_face))
        """Maximum side of a view in pixels."""
        self.cores = BoundedSemaphore(os.cpu_count() or 1)
        """Held while pixels are worked on: more pictures at once would take more memory and no less time."""
        self._detector = FaceDetector(smallest_face, turn=False)
        self._alignment = DlibAlignment()
        self._network = ResNet()

    def view(self, pixels: Pixels, digest: str = "") -> View:
        """Return the view of a decoded picture, whose file has this SHA-256."""
        return View(pixels, digest, self)

    def detect(self, pixels: Pixels) -> Detection:
        """Return the faces."""
        with self.cores:
            return self._detector.find(pixels)

    def embed(self, pixels: Pixels, face: Face) -> Embedding:
        """Return the face's embedding, [128], equal to dlib's own."""
        with self.cores:
            return np.asarray(self._network.embed(self._alignment.chip(pixels, face)[np.newaxis])[0])

    def landmarks(self, pixels: Pixels, face: Face) -> npt.NDArray[np.int64]:
        """Return dlib's five landmarks, [5, 2]."""
        return self._alignment.landmarks(pixels, face)
