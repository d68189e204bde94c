"""The regions of a picture that the network takes. Blocks: call it in a worker thread."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from marquee.v1 import recognizer_pb2 as pb
from services.keras.assets import Assets
from services.keras.preprocess import fitted, to_input
from services.keras.serving.signature import Signature
from services.runtime.errors import Misconfigured
from services.runtime.images.image import Image

if TYPE_CHECKING:
    from services.runtime.images.haar import HaarFaces


@dataclass(frozen=True)
class Regions:
    """One picture as model input."""

    inputs: npt.NDArray[Any]
    """[N, height, width, channels]: the whole picture, or one face each; N may be 0."""
    boxes: Sequence[pb.BoundingBox] | None
    """The faces' boxes from left to right; None for the whole picture."""


def prepare(assets: Assets) -> None:
    """Load the face detector if the model needs one. Raises Misconfigured if it is not installed."""
    if assets.regions == "image":
        return
    try:
        _detector()
    except ImportError as exc:
        raise Misconfigured(
            f"The model takes faces, but {exc.name} is not installed: install the extra `keras-faces`."
        ) from exc


def regions_of(image: Image, signature: Signature, assets: Assets) -> Regions:
    """Return the stored picture, as Keras takes it, or the faces of the upright one. Raises InvalidImage."""
    to_pixels = fitted(assets, signature.size, signature.channels)
    if assets.regions == "image":
        pixels, boxes = to_pixels(image.as_stored()), None
    else:
        upright = image.upright()
        faces = _detector().find(upright)
        boxes = [face.box_in(upright) for face in faces]
        crops = [to_pixels(Pillow.fromarray(np.ascontiguousarray(face.crop(upright)))) for face in faces]
        pixels = np.concatenate([np.empty((0, *signature.size, signature.channels), np.uint8), *crops])
    _ = image.info  # the leaf needs it, and would need another thread to read it
    return Regions(to_input(pixels, signature.dtype, assets.preprocessing), boxes)


@cache
def _detector() -> "HaarFaces":
    import cv2  # noqa: PLC0415 - 40 MiB that networks for whole pictures do without

    from services.runtime.images.haar import HaarFaces  # noqa: PLC0415 - likewise

    cv2.setNumThreads(1)  # the workers use the cores
    return HaarFaces()
