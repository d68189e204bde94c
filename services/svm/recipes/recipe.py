"""The three ways from a face to features."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from services.runtime.images.image import Pixels
from services.svm.faces.detector import Face
from services.svm.recipes.embedding import Embedding
from services.svm.recipes.hog_lbp import HogLbp
from services.svm.recipes.wavelet import Wavelet


class Recipe(Protocol):
    """What a recipe does before the scaler."""

    name: str
    length: int
    """How many numbers the features are."""
    compares: str
    """What galleries hold: "features", or "decisions" of the classifier about each person."""
    asked: int
    """How many views of a face are looked at when recognizing; their decisions are averaged."""

    def views(self, pixels: Pixels, face: Face) -> npt.NDArray[np.float64]:
        """The features [asked, length] of a face of an RGB picture."""

    def training_views(self, pixels: Pixels, face: Face) -> npt.NDArray[np.float64]:
        """The features [asked or more, length] to train on: those of `views` first."""


RECIPES: dict[str, type[Recipe]] = {kind.name: kind for kind in (Embedding, HogLbp, Wavelet)}
