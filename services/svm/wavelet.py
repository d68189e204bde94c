"""The features of the published recipe: a small face in colour, and its edges by a wavelet.

The recipe works on OpenCV's pictures, whose channels are blue, green, red, and turns them grey with
the weights for red, green, blue. That is kept: models trained on such features are only right on them.
"""

import cv2
import numpy as np
import numpy.typing as npt
import pywt

from services.runtime.images import Pixels

RECIPE = "wavelet"
SIDE = 32
LENGTH = SIDE * SIDE * 4
WAVELET, LEVEL = "db1", 5


def features(face: Pixels) -> npt.NDArray[np.float64]:
    """A face [height, width, 3] RGB as 4096 numbers of 0 to 255: 3072 of colour, 1024 of edges."""
    face = _enlarge(face)
    colour = cv2.resize(face, (SIDE, SIDE))[:, :, ::-1]
    edges = cv2.resize(_edges(face), (SIDE, SIDE))
    return np.concatenate([colour.ravel(), edges.ravel()]).astype(np.float64)


def _enlarge(face: Pixels) -> Pixels:
    """At least 32 pixels each way, which five levels need. The published rule finds no smaller face."""
    height, width = face.shape[:2]
    if min(height, width) >= SIDE:
        return face
    return np.asarray(cv2.resize(face, (max(width, SIDE), max(height, SIDE))), dtype=np.uint8)


def _edges(face: Pixels) -> npt.NDArray[np.uint8]:
    """The grey face without its coarsest level: what is left are edges, as bright as they are strong."""
    grey = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY).astype(np.float32) / 255
    levels = pywt.wavedec2(grey, WAVELET, level=LEVEL)
    levels[0] *= 0
    edges = pywt.waverec2(levels, WAVELET) * 255
    # Negative values wrap around in the published features. Straight to uint8 that is up to the processor.
    return np.asarray(edges.astype(np.int32).astype(np.uint8))
