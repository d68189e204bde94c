"""Finds faces: Haar's boxes, each confirmed by two eyes or else by dlib's detector."""

import cv2
import numpy as np

from services.runtime.images.haar import WORKING_SIDE, Face, HaarFaces, at_most, clipped, distinct, grey
from services.runtime.images.image import Pixels
from services.svm.faces.dlib_faces import DetectedFace, DlibFaces
from services.svm.faces.landmarks import Landmarks

__all__ = ["Face", "FaceFinder", "as_dlib"]

HOG_SIDE = 100
"""Pixels across of the face that dlib is shown; it finds faces of 80 and more."""
HOG_WIDTHS = 1.11
"""A Haar box's width in widths of dlib's box around the same face, median of 248 pairs (0.97 to 1.27)."""
HOG_RAISE = 0.08
"""How far above the centre of dlib's box the Haar box's is, in dlib's heights, of the same pairs."""
SMALL_PICTURE = WORKING_SIDE // 2
"""Pixels of the longer side of a picture that dlib sees doubled, so that it finds faces of 40 in it."""
_MARGIN = 0.35


class FaceFinder:
    """The detectors, loaded in each thread at its first look. Safe to share between threads."""

    def __init__(self) -> None:
        self._haar = HaarFaces()
        self._dlib = DlibFaces()

    def find(self, pixels: Pixels) -> list[Face]:
        """All faces of an RGB picture [height, width, 3], from left to right.

        Haar's boxes count with two eyes. dlib looks at those without, closely, and at the whole
        picture where none is left.
        """
        faces = [face for box in self._haar.candidates(pixels) for face in self._confirmed(pixels, box)]
        return distinct(clipped(faces or self._in_the_whole(pixels), pixels))

    def landmarks(self, pixels: Pixels, face: Face) -> Landmarks:
        """Points of a face of the picture."""
        return Landmarks.of(self._dlib.landmarks(pixels, as_dlib(face)))

    def find_as_published(self, pixels: Pixels) -> list[Face]:
        """Haar's faces with two or more eyes, in the picture's full size, from left to right."""
        greys = grey(pixels)
        return [face for face in self._haar.boxes(pixels, 1.3, 0) if self._haar.has_eyes_as_published(face.crop(greys))]

    def _confirmed(self, pixels: Pixels, face: Face) -> list[Face]:
        return [face] if self._haar.has_eyes(pixels, face) else self._second_opinion(pixels, face)

    def _in_the_whole(self, pixels: Pixels) -> list[Face]:
        small = at_most(pixels, WORKING_SIDE)
        across, down = pixels.shape[1] / small.shape[1], pixels.shape[0] / small.shape[0]
        closer = int(max(small.shape[:2]) <= SMALL_PICTURE)
        return [_as_haar(face).moved(across, down) for face in self._dlib.detect(small, upsample=closer)]

    def _second_opinion(self, pixels: Pixels, face: Face) -> list[Face]:
        """What dlib finds around the face, shown in the size that dlib knows."""
        margin = round(face.width * _MARGIN)
        wide = Face(face.left - margin, face.top - margin, face.width + 2 * margin, face.height + 2 * margin)
        (around,) = clipped([wide], pixels)
        scale = HOG_SIDE / face.width
        size = (max(1, round(around.width * scale)), max(1, round(around.height * scale)))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        closely = np.asarray(cv2.resize(around.crop(pixels), size, interpolation=method), dtype=np.uint8)
        found = [_as_haar(seen).moved(1 / scale, 1 / scale) for seen in self._dlib.detect(closely)]
        return [Face(one.left + around.left, one.top + around.top, one.width, one.height, one.score) for one in found]


def as_dlib(face: Face) -> DetectedFace:
    """The box that dlib would draw around a Haar face: its landmarks are learnt in such."""
    width, height = face.width / HOG_WIDTHS, face.height / HOG_WIDTHS
    left = face.left + (face.width - width) / 2
    top = face.top + (face.height - height) / 2 + height * HOG_RAISE
    return DetectedFace(round(left), round(top), round(width), round(height), face.score)


def _as_haar(face: DetectedFace) -> Face:
    """The box that Haar would draw around dlib's face: the features need the same part of it."""
    width, height = face.width * HOG_WIDTHS, face.height * HOG_WIDTHS
    left = face.left + (face.width - width) / 2
    top = face.top + (face.height - height) / 2 - face.height * HOG_RAISE
    return Face(round(left), round(top), round(width), round(height), min(1.0, face.score))
