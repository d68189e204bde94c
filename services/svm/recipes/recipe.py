"""The three ways from a face to features."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from services.runtime.images.faces import Face
from services.runtime.images.image import Pixels
from services.svm.networks.network import Embedder, Network
from services.svm.recipes.embedding import Embedding
from services.svm.recipes.hog_lbp import HogLbp
from services.svm.recipes.wavelet import Wavelet


class Recipe(Protocol):
    """From a face to features: everything before the scaler."""

    name: str
    length: int
    """Number of features."""
    compares: str
    """What galleries hold: "features", or "decisions" of the classifier about each person."""
    network: Network | None
    """The network that the features come from, if any: only then does the model embed faces and enroll them."""
    keeps_detector: bool
    """Whether its features fit only the boxes of the detector that it was trained with."""
    view_count: int
    """Views of a face that are recognized; their decisions are averaged."""

    def views(self, pixels: Pixels, face: Face) -> npt.NDArray[np.float64]:
        """Return the features [view_count, length] of a face in an RGB picture."""

    def training_views(self, pixels: Pixels, face: Face) -> npt.NDArray[np.float64]:
        """Return the features [view_count or more, length] to train on, those of `views` first."""


RECIPES: dict[str, type[Recipe]] = {kind.name: kind for kind in (Embedding, HogLbp, Wavelet)}


def recipe_of(name: str, embedder: Embedder) -> Recipe:
    """Return the recipe; `embedder` computes the embedding's features."""
    return Embedding(embedder) if name == Embedding.name else RECIPES[name]()
