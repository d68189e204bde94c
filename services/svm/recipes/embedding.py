"""The features of the best recipe: the face, aligned by five points, as dlib's ResNet sees it."""

from functools import cache

import numpy as np
import numpy.typing as npt

from services.runtime.images.image import Pixels
from services.svm.faces.detector import Face, as_dlib
from services.svm.faces.dlib_faces import WEIGHTS, DlibFaces, ResNet, weights


class Embedding:
    """128 numbers of a face. Thread-safe."""

    name = "embedding"
    length = 128
    compares = "features"
    view_count = 1

    def __init__(self) -> None:
        self._dlib = DlibFaces()

    def views(self, pixels: Pixels, face: Face) -> npt.NDArray[np.float64]:
        """Return the features [1, 128]."""
        return _network().embed(self._dlib.chip(pixels, as_dlib(face))[np.newaxis]).astype(np.float64)

    training_views = views


@cache
def _network() -> ResNet:
    """Return the process's one ResNet."""
    return ResNet(weights(WEIGHTS))
