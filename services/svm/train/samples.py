"""A picture of the training folder, and what a look at it tells."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from services.runtime.errors import InvalidImage
from services.runtime.images.image import Image, Pixels
from services.svm.faces.detector import Face
from services.svm.faces.quality import quality
from services.svm.recipes.embedding import Embedding
from services.svm.recipes.recipe import Recipe

NO_FACE = "no face"
BLURRED = "blurred"
LEAST_SHARPNESS = 0.08
"""The least sharp of 110 good faces measured has 0.26."""
_THUMB = 96
Finder = Callable[[Pixels], list[Face]]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sample:
    """A picture of the training folder."""

    path: Path
    folder: str
    """The person's."""
    sha256: str = ""
    features: Numbers | None = None
    """[views, length] of its one face."""
    identity: Numbers | None = None
    """[128]: dlib's embedding of the face, in every recipe: for finding duplicates and wrong names."""
    thumbnail: bytes = b""
    """The face as a small JPEG."""
    group: int = -1
    """Near-duplicates share it."""
    problem: str = ""
    """Why it cannot be used: "no face", "2 faces"."""
    unreadable: str = ""
    """Why it is no picture."""

    @property
    def usable(self) -> bool:
        """Whether there is something to train on."""
        return self.features is not None and not self.problem


class Looker:
    """Looks at training pictures with one recipe."""

    def __init__(self, find: Finder, recipe: Recipe) -> None:
        self._find = find
        self._recipe = recipe
        self._identify = recipe if isinstance(recipe, Embedding) else Embedding()

    def look(self, sample: Sample) -> Sample:
        """The sample with the features of its one face, or with what is wrong with it."""
        try:
            content = sample.path.read_bytes()
            pixels = Image(content).upright()
        except OSError as exc:
            return replace(sample, unreadable=exc.strerror or str(exc))
        except InvalidImage as exc:
            return replace(sample, unreadable=exc.message)
        sample = replace(sample, sha256=hashlib.sha256(content).hexdigest())
        faces = self._find(pixels)
        if len(faces) != 1:
            return replace(sample, problem=f"{len(faces)} faces" if faces else NO_FACE)
        return self._features(sample, pixels, faces[0])

    def _features(self, sample: Sample, pixels: Pixels, face: Face) -> Sample:
        crop = face.crop(pixels)
        if quality(crop).sharpness < LEAST_SHARPNESS:
            return replace(sample, problem=BLURRED, thumbnail=_thumbnail(crop))
        return replace(
            sample,
            features=self._recipe.training_views(pixels, face),
            identity=self._identify.views(pixels, face)[0],
            thumbnail=_thumbnail(crop),
        )


def _thumbnail(crop: Pixels) -> bytes:
    small = cv2.resize(crop, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", small[:, :, ::-1])[1])
