"""The features of the published recipe: a small face in colour, and its edges by a wavelet.

The recipe works on OpenCV's pictures, whose channels are blue, green, red, and turns them grey with
the weights for red, green, blue. That is kept: models trained on such features are only right on them.
"""

import cv2
import numpy as np
import numpy.typing as npt

from services.runtime.images.image import Pixels
from services.svm.faces.detector import Face

SIDE = 32
LEVELS = 5

Floats = npt.NDArray[np.float32]
_HALF_ROOT = np.float32(np.sqrt(0.5))


class Wavelet:
    """The published recipe's features."""

    name = "wavelet"
    length = SIDE * SIDE * 4
    compares = "decisions"
    asked = 1

    def views(self, pixels: Pixels, face: Face) -> npt.NDArray[np.float64]:
        """[1, 4096]."""
        return features(face.crop(pixels))[np.newaxis]

    training_views = views


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


def _edges(face: Pixels) -> Pixels:
    """The grey face without its coarsest level: what is left are edges, as bright as they are strong."""
    grey = np.asarray(cv2.cvtColor(face, cv2.COLOR_BGR2GRAY), dtype=np.float32) / np.float32(255)
    edges = without_coarsest(grey) * 255
    # Negative values wrap around in the published features. Straight to uint8 that is up to the processor.
    return np.asarray(edges.astype(np.int32).astype(np.uint8))


def without_coarsest(grey: Floats) -> Floats:
    """A picture through `db1`, the Haar wavelet, of level 5 and back, its approximation set to zero.

    PyWavelets' operations in PyWavelets' order, so that it gives PyWavelets' very bits, in less time.
    """
    details = []
    for _ in range(LEVELS):
        low, high = _split(grey, axis=0)
        (grey, across), (down, both) = _split(low, axis=1), _split(high, axis=1)
        details.append((across, down, both))
    grey = np.zeros_like(grey)
    for across, down, both in reversed(details):
        grey = grey[: down.shape[0], : down.shape[1]]
        grey = _join(_join(grey, across, axis=1), _join(down, both, axis=1), axis=0)
    return grey


def _split(values: Floats, axis: int) -> tuple[Floats, Floats]:
    """Sums and differences of neighbours; the last of an odd number is its own neighbour."""
    values = np.pad(values, [(0, values.shape[axis] % 2 * (axis == each)) for each in (0, 1)], mode="edge")
    scaled = values * _HALF_ROOT
    first, second = (scaled[::2], scaled[1::2]) if axis == 0 else (scaled[:, ::2], scaled[:, 1::2])
    return first + second, first - second


def _join(low: Floats, high: Floats, axis: int) -> Floats:
    """The neighbours of which those were sums and differences."""
    low, high = low * _HALF_ROOT, high * _HALF_ROOT
    pairs = np.stack([low + high, low - high], axis=axis + 1)
    return pairs.reshape([size * (2 if axis == each else 1) for each, size in enumerate(low.shape)])
