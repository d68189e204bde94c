"""dlib's faces: HOG detector, 5-point landmarks and the 128-d ResNet embedding.

The weights come from the package face-recognition-models, found without importing it: its own
module needs pkg_resources. Its 68-point landmarks are not free for commercial use and are not read.
"""

import threading
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dlib
import numpy as np
import numpy.typing as npt

from services.runtime.images.image import Pixels

NETWORK = "dlib-resnet-v1"
"""What models built on this embedding name as their evidence group."""


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
    """The three models, loaded at first use. Safe to share between threads, one call at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def detect(self, pixels: Pixels, upsample: int = 0, least_score: float = 0.0) -> list[DetectedFace]:
        """Upright faces of about 80 pixels and more (40 when upsampled once), from left to right."""
        with self._lock:
            boxes, scores, _ = self._detector.run(pixels, upsample, least_score)
        found = [
            DetectedFace(box.left(), box.top(), box.width(), box.height(), score)
            for box, score in zip(boxes, scores, strict=True)
        ]
        return sorted(found, key=lambda face: (face.left, face.top))

    def landmarks(self, pixels: Pixels, face: DetectedFace) -> npt.NDArray[np.int64]:
        """Five points as [5, 2] pixels (x, y): right eye's outer and inner corner, left eye's, nose."""
        with self._lock:
            shape = self._shape(pixels, face)
        return np.array([(point.x, point.y) for point in shape.parts()])

    def chip(self, pixels: Pixels, face: DetectedFace) -> Pixels:
        """The face turned upright and sized by its landmarks: [150, 150, 3], what the ResNet is fed."""
        with self._lock:
            return np.asarray(dlib.get_face_chip(pixels, self._shape(pixels, face), 150, 0.25), dtype=np.uint8)

    def embed(self, pixels: Pixels, face: DetectedFace) -> npt.NDArray[np.float64]:
        """The face as 128 numbers; two pictures of one person are mostly less than 0.6 apart (L2)."""
        with self._lock:
            return np.array(self._network.compute_face_descriptor(pixels, self._shape(pixels, face)))

    def _shape(self, pixels: Pixels, face: DetectedFace) -> Any:
        right, bottom = face.left + face.width - 1, face.top + face.height - 1
        return self._predictor(pixels, dlib.rectangle(face.left, face.top, right, bottom))

    @cached_property
    def _detector(self) -> Any:
        return dlib.get_frontal_face_detector()

    @cached_property
    def _predictor(self) -> Any:
        return dlib.shape_predictor(str(weights("shape_predictor_5_face_landmarks.dat")))

    @cached_property
    def _network(self) -> Any:
        return dlib.face_recognition_model_v1(str(weights("dlib_face_recognition_resnet_model_v1.dat")))


def weights(name: str) -> Path:
    """The path of a weights file in the package face-recognition-models."""
    spec = find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"{name}: install the package face-recognition-models")
    return Path(spec.submodule_search_locations[0]) / "models" / name
