"""The features of the published recipe: a small face in colour, and its edges by a wavelet.

The recipe works on OpenCV's pictures, whose channels are blue, green, red, and turns them grey with
the weights for red, green, blue. That is kept: models trained on such features are only right on them.
"""

import cv2
import numpy as np
import numpy.typing as npt
import pywt

from services.runtime.images.faces import Face
from services.runtime.images.image import Pixels
from services.svm.networks.network import Network

SIDE = 32
LEVELS = 5

Floats = npt.NDArray[np.float32]


class Wavelet:
    """The published recipe's features."""

    name = "wavelet"
    length = SIDE * SIDE * 4
    compares = "decisions"
    network: Network | None = None
    keeps_detector = True
    view_count = 1

    def views(self, pixels: Pixels, face: Face) -> npt.NDArray[np.float64]:
        """Return the features [1, 4096]."""
        return features(face.framed("haar").crop(pixels))[np.newaxis]

    training_views = views


def features(face: Pixels) -> npt.NDArray[np.float64]:
    """Return a face [height, width, 3] RGB as 4096 numbers of 0 to 255: 3072 of colour, 1024 of edges."""
    face = _enlarge(face)
    colour = cv2.resize(face, (SIDE, SIDE))[:, :, ::-1]
    edges = cv2.resize(_edges(face), (SIDE, SIDE))
    return np.concatenate([colour.ravel(), edges.ravel()]).astype(np.float64)


def _enlarge(face: Pixels) -> Pixels:
    """Scale to at least 32 pixels each way, which five levels need. The published rule finds no smaller face."""
    height, width = face.shape[:2]
    if min(height, width) >= SIDE:
        return face
    return np.asarray(cv2.resize(face, (max(width, SIDE), max(height, SIDE))), dtype=np.uint8)


def _edges(face: Pixels) -> Pixels:
    """Return the grey face without its coarsest level: what is left are edges, as bright as they are strong."""
    grey = np.asarray(cv2.cvtColor(face, cv2.COLOR_BGR2GRAY), dtype=np.float32) / np.float32(255)
    edges = without_coarsest(grey) * 255
    # Negative values wrap around in the published features. Straight to uint8 that is up to the processor.
    return np.asarray(edges.astype(np.int32).astype(np.uint8))


def without_coarsest(grey: Floats) -> Floats:
    """Transform a picture by `db1`, the Haar wavelet, of level 5 and back, with its approximation set to zero."""
    approximation, *details = pywt.wavedec2(grey, "db1", level=LEVELS)
    return np.asarray(pywt.waverec2([np.zeros_like(approximation), *details], "db1"))
