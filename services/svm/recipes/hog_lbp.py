"""The features of shape and texture: histograms of gradients (HOG) and of local binary patterns (LBP)."""

from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from services.runtime.images.faces import Face
from services.runtime.images.image import Pixels
from services.svm.networks.network import Network

SIDE = 96
CELL = 12
"""Pixels of a HOG cell; a block is two by two cells."""
PARTS = 6
"""LBP histograms across and down."""
HOG_LENGTH = (SIDE // CELL - 1) ** 2 * 36
_UNIFORM = 59
"""The 58 patterns that change at most twice around the circle, and all others as one."""
_JITTERS = ((-6, 1.06, 0.02, -0.03), (5, 0.95, -0.03, 0.02))
"""Degrees, scale, and shifts in widths: how two detections of one face differ."""
_AROUND = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))

Numbers = npt.NDArray[np.float64]


class HogLbp:
    """HOG and LBP of a face and of its mirror image. Thread-safe."""

    name = "hog-lbp"
    length = HOG_LENGTH + PARTS * PARTS * _UNIFORM
    compares = "decisions"
    network: Network | None = None
    keeps_detector = True
    view_count = 2

    def views(self, pixels: Pixels, face: Face) -> Numbers:
        """Return the features [2, length] of the face and of its mirror image."""
        return np.array([features(one) for one in _mirrored(_grey(face.framed("haar").crop(pixels)))])

    def training_views(self, pixels: Pixels, face: Face) -> Numbers:
        """Return [6, length]: `views`, and each a little turned, scaled and shifted in two ways."""
        both = _mirrored(_grey(face.framed("haar").crop(pixels)))
        return np.array([features(one) for one in (*both, *(_jitter(one, *how) for one in both for how in _JITTERS))])


def features(grey: Pixels) -> Numbers:
    """Return HOG, then LBP, of a grey face [96, 96]."""
    return np.concatenate([_hog().compute(grey).ravel(), _lbp(grey)]).astype(np.float64)


def _grey(face: Pixels) -> Pixels:
    small = cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _mirrored(grey: Pixels) -> tuple[Pixels, Pixels]:
    return grey, np.ascontiguousarray(grey[:, ::-1])


def _jitter(grey: Pixels, degrees: float, scale: float, across: float, down: float) -> Pixels:
    move = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), degrees, scale)
    move[0, 2] += across * SIDE
    move[1, 2] += down * SIDE
    return np.asarray(cv2.warpAffine(grey, move, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8)


@cache
def _hog() -> Any:
    return cv2.HOGDescriptor((SIDE, SIDE), (2 * CELL, 2 * CELL), (CELL, CELL), (CELL, CELL), 9)


def _lbp(grey: Pixels) -> Numbers:
    """Return the square roots of each part's shares of patterns."""
    inner = SIDE - 2
    middle = grey[1:-1, 1:-1]
    code = np.zeros((inner, inner), np.uint8)
    for bit, (down, across) in enumerate(_AROUND):
        code |= (grey[down : down + inner, across : across + inner] >= middle).astype(np.uint8) << bit
    counts = np.bincount((_part() * _UNIFORM + _pattern()[code]).ravel(), minlength=PARTS * PARTS * _UNIFORM)
    shares = counts.reshape(-1, _UNIFORM) / counts.reshape(-1, _UNIFORM).sum(axis=1, keepdims=True)
    return np.asarray(np.sqrt(shares).ravel())


@cache
def _part() -> npt.NDArray[np.int64]:
    """Return the number of each pixel's part."""
    line = np.arange(SIDE - 2) * PARTS // (SIDE - 2)
    return line[:, np.newaxis] * PARTS + line


@cache
def _pattern() -> npt.NDArray[np.int64]:
    """Return the number, 0 to 58, of each code of eight neighbours."""
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1)
    uniform = (bits != np.roll(bits, 1, axis=1)).sum(axis=1) <= 2  # noqa: PLR2004 - that is what uniform means
    return np.where(uniform, np.cumsum(uniform) - 1, _UNIFORM - 1)
