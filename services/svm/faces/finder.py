"""Detection of faces with the detector that a model asks for."""

import math

from services.runtime.images.detector import FaceDetector
from services.runtime.images.faces import Detection
from services.runtime.images.haar import HaarFaces
from services.runtime.images.image import Pixels


class FaceFinder:
    """Both detectors. Thread-safe, in parallel."""

    def __init__(self, detector: FaceDetector | None = None) -> None:
        self._haar = HaarFaces()
        self._detector = detector or FaceDetector()

    def find(self, pixels: Pixels, detector: str = "yunet", seconds: float = math.inf) -> Detection:
        """Return the faces of an upright RGB picture [height, width, 3], all with points if YuNet sees any.

        `detector` is "yunet", which may take `seconds`, or "haar", which finds frontal faces with two eyes.
        """
        if detector == "yunet":
            return self._detector.find(pixels, seconds)
        return Detection(pixels, [self._detector.with_points(pixels, face) for face in self._haar.find(pixels)])
