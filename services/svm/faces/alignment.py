"""Alignment of faces by dlib's five landmarks, which its network was trained with."""

import threading
from functools import cached_property
from typing import Any

import dlib
import numpy as np
import numpy.typing as npt

from services.runtime.images.faces import Face
from services.runtime.images.image import Pixels
from services.runtime.images.weights import DLIB_LANDMARKS

CHIP_SIDE = 150
"""Pixels of a chip, the aligned square picture of a face."""
_PADDING = 0.25


class DlibAlignment:
    """dlib's shape predictor, loaded at first use. Thread-safe, one call at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def landmarks(self, pixels: Pixels, face: Face) -> npt.NDArray[np.int64]:
        """Return five points as [5, 2] pixels (x, y): right eye's outer and inner corner, left eye's, nose."""
        with self._lock:
            shape = self._shape(pixels, face)
        return np.array([(point.x, point.y) for point in shape.parts()])

    def chip(self, pixels: Pixels, face: Face) -> Pixels:
        """Return the face turned upright and sized by its landmarks: [150, 150, 3], the ResNet's input."""
        with self._lock:
            shape = self._shape(pixels, face)
            return np.asarray(dlib.get_face_chip(pixels, shape, CHIP_SIDE, _PADDING), dtype=np.uint8)

    def _shape(self, pixels: Pixels, face: Face) -> Any:
        box = face.framed("dlib")
        right, bottom = box.left + box.width - 1, box.top + box.height - 1
        return self._predictor(pixels, dlib.rectangle(box.left, box.top, right, bottom))

    @cached_property
    def _predictor(self) -> Any:
        DLIB_LANDMARKS.read()  # checks the file that dlib reads by itself
        return dlib.shape_predictor(str(DLIB_LANDMARKS.locate()))
