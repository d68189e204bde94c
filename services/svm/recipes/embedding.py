"""The features of the best recipe: a network's embedding of the face, by default that of dlib's ResNet."""

import numpy as np
import numpy.typing as npt

from services.runtime.images.faces import Face
from services.runtime.images.image import Pixels
from services.svm.networks.dlib_resnet import DlibResNet
from services.svm.networks.network import Embedder, Network


class Embedding:
    """A network's vector of a face. Thread-safe."""

    name = "embedding"
    compares = "features"
    keeps_detector = False
    view_count = 1

    def __init__(self, embedder: Embedder | None = None) -> None:
        self._embedder = embedder or DlibResNet()
        self.network: Network | None = self._embedder.network
        self.length = self._embedder.network.length

    def views(self, pixels: Pixels, face: Face) -> npt.NDArray[np.float64]:
        """Return the features [1, length]."""
        return self._embedder.embed(pixels, face)[np.newaxis]

    training_views = views
