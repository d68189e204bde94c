"""The features of the best recipe: the face, aligned by five points, as dlib's ResNet sees it."""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from services.runtime.images.image import Pixels
from services.svm.faces.detector import Face, as_dlib
from services.svm.faces.dlib_faces import DlibFaces, weights

if TYPE_CHECKING:
    from services.svm.faces.resnet import ResNet

WEIGHTS = "dlib_face_recognition_resnet_model_v1.dat"


class Embedding:
    """128 numbers of a face. Safe to share between threads."""

    name = "embedding"
    length = 128
    compares = "features"
    asked = 1

    def __init__(self) -> None:
        self._dlib = DlibFaces()

    def views(self, pixels: Pixels, face: Face) -> npt.NDArray[np.float64]:
        """[1, 128]."""
        return _network().embed(self._dlib.chip(pixels, as_dlib(face))[np.newaxis]).astype(np.float64)

    training_views = views


@cache
def _network() -> "ResNet":
    """One for the whole process."""
    from services.svm.faces.resnet import ResNet  # noqa: PLC0415 - 1 s and 32 MiB that the other recipes do not pay

    return ResNet(weights(WEIGHTS))
