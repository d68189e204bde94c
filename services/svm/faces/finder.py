"""Detection of faces with the detector that a model asks for."""

import math
from dataclasses import replace

from services.runtime.images.detector import FaceDetector
from services.runtime.images.faces import Detection, Face, clipped, distinct
from services.runtime.images.haar import HaarFaces
from services.runtime.images.image import Pixels


class FaceFinder:
    """Both detectors. Thread-safe, in parallel."""

    def __init__(self, detector: FaceDetector | None = None) -> None:
        self._haar = HaarFaces()
        self._detector = detector or FaceDetector()

    def find(self, pixels: Pixels, detector: str = "yunet", seconds: float = math.inf) -> Detection:
        """Return the faces of an upright RGB picture [height, width, 3], all with points if YuNet sees any.

        `detector` is "yunet", which may take `seconds`, or "haar": boxes of Haar's in which there are two eyes, or in
        which YuNet sees a face; if there are none, those that Haar would draw around YuNet's faces.
        """
        if detector == "haar" and (faces := self._haar_faces(pixels)):
            return Detection(pixels, faces)
        detection = self._detector.find(pixels, seconds)
        return replace(detection, faces=[face.framed(detector) for face in detection.faces])

    def _haar_faces(self, pixels: Pixels) -> list[Face]:
        candidates = (self._detector.with_points(pixels, face) for face in self._haar.candidates(pixels))
        return distinct(clipped((one for one in candidates if one.points or self._haar.has_eyes(pixels, one)), pixels))
