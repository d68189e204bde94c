"""Detection of faces with the detector that a model asks for."""

import math
from collections.abc import Sequence
from dataclasses import replace

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import InvalidRequest
from services.runtime.images.detector import MIN_PIXELS, FaceDetector
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

    def given(self, pixels: Pixels, boxes: Sequence[pb.BoundingBox]) -> Detection:
        """Return a face for each box, as YuNet draws them, with points if it sees the face there.

        Raises InvalidRequest for one of fewer than ten pixels.
        """
        faces = [_face(pixels, box, number) for number, box in enumerate(boxes)]
        return Detection(pixels, [self._detector.with_points(pixels, face) for face in faces])

    def _haar_faces(self, pixels: Pixels) -> list[Face]:
        candidates = (self._detector.with_points(pixels, face) for face in self._haar.candidates(pixels))
        return distinct(clipped((one for one in candidates if one.points or self._haar.has_eyes(pixels, one)), pixels))


def _face(pixels: Pixels, box: pb.BoundingBox, number: int) -> Face:
    height, width = pixels.shape[:2]
    left, top = round(box.left * width), round(box.top * height)
    face = Face(left, top, round(box.width * width), round(box.height * height), detector="yunet")
    if min(face.width, face.height) < MIN_PIXELS:
        raise InvalidRequest(
            f"face_boxes[{number}] has {face.width}x{face.height} pixels; the minimum is {MIN_PIXELS}x{MIN_PIXELS}.",
            field="face_boxes",
        )
    return face
