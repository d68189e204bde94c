"""What of a picture the network looks at. Blocks: call it in a worker thread."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from marquee.v1 import recognizer_pb2 as pb
from services.keras.assets import Assets
from services.keras.preprocess import to_input, to_pixels
from services.keras.serving.signature import Signature
from services.runtime.errors import Misconfigured
from services.runtime.images.image import Image

if TYPE_CHECKING:
    from services.runtime.images.haar import HaarFaces


@dataclass(frozen=True)
class Regions:
    """One picture as the model takes it."""

    inputs: npt.NDArray[Any]
    """[N, height, width, 3]: the whole picture, or a face each; N may be 0."""
    boxes: Sequence[pb.BoundingBox] | None
    """The faces' places from left to right; None for the whole picture."""


def prepare(assets: Assets) -> None:
    """Loads what looking at the model's regions takes. Raises Misconfigured where it is not installed."""
    if assets.regions == "image":
        return
    try:
        _finder()
    except ImportError as exc:
        raise Misconfigured(
            f"The model looks at faces, and {exc.name} is not installed: install the extra `keras-faces`."
        ) from exc


def regions_of(image: Image, signature: Signature, assets: Assets) -> Regions:
    """The picture as it is stored, as Keras looks at it; or the faces of the upright one. Raises InvalidImage."""
    if assets.regions == "image":
        pixels, boxes = to_pixels(image.as_stored(), signature.size), None
    else:
        pixels, boxes = _faces(image, signature.size)
    _ = image.info  # the leaf needs it, and would go to another thread for it
    return Regions(to_input(pixels, signature.dtype, assets.preprocessing), boxes)


def _faces(image: Image, size: tuple[int, int]) -> tuple[npt.NDArray[np.uint8], list[pb.BoundingBox]]:
    upright = image.upright()
    faces = _finder().find(upright)
    crops = [to_pixels(Pillow.fromarray(np.ascontiguousarray(face.crop(upright))), size) for face in faces]
    pixels = np.concatenate(crops) if crops else np.empty((0, *size, 3), np.uint8)
    return pixels, [face.box_in(upright) for face in faces]


@cache
def _finder() -> "HaarFaces":
    import cv2  # noqa: PLC0415 - 40 MiB that a network for whole pictures does not pay

    from services.runtime.images.haar import HaarFaces  # noqa: PLC0415 - likewise

    cv2.setNumThreads(1)  # the workers use the cores
    return HaarFaces()
