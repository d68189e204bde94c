"""Pictures as Keras loads them, without Keras."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from services.keras.assets import Assets

Pixels = npt.NDArray[np.uint8]
SIZE = (224, 224)
_MODES = {1: "L", 3: "RGB"}
_IMAGENET_BGR = np.array([103.939, 116.779, 123.68], np.float32)
_IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


def to_pixels(
    stored: Pillow.Image,
    size: tuple[int, int] = SIZE,
    channels: int = 3,
    interpolation: str = "nearest",
    fit: str = "stretch",
) -> Pixels:
    """Return what Keras's `load_img` and `img_to_array` do, as uint8 [1, height, width, channels], RGB or grey.

    `size` is load_img's target_size, one channel its color_mode="grayscale", and the fit "crop" its
    keep_aspect_ratio. "pad" shows the whole picture on black, which load_img cannot. `stored` is the picture as its
    file has it: Keras ignores the EXIF orientation and drops an alpha channel without blending. Only grey pictures
    of 16 bits differ for one channel: Keras keeps 16 bits, and this the upper eight.
    Source: keras/src/utils/image_utils.py.
    """
    picture = _in_mode(stored, _MODES[channels])
    height, width = size
    if picture.size != (width, height):
        picture = _fitted(picture, (width, height), Pillow.Resampling[interpolation.upper()], fit)
    return np.asarray(picture, dtype=np.uint8).reshape(1, height, width, channels)


def fitted(assets: Assets, size: tuple[int, int], channels: int) -> Callable[[Pillow.Image], Pixels]:
    """Return what makes a stored picture the model's, uint8 [1, *size, channels]."""
    return partial(to_pixels, size=size, channels=channels, interpolation=assets.interpolation, fit=assets.fit)


def to_input(pixels: Pixels, dtype: np.dtype[Any], preprocessing: str) -> npt.NDArray[Any]:
    """Return the tensor for a model's input: the pixels for uint8, preprocessed values for float32.

    `preprocessing` is that of Assets. "tf", "caffe" and "torch" equal `_preprocess_numpy_input` in
    keras/src/applications/imagenet_utils.py bit for bit, and "rescale" the layer Rescaling(1 / 255), which multiplies.
    """
    if dtype == np.uint8:
        return pixels
    values = pixels.astype(np.float32)
    match preprocessing:
        case "tf":
            return values / np.float32(127.5) - np.float32(1)
        case "caffe":
            return values[..., ::-1] - _IMAGENET_BGR
        case "torch":
            return (values / np.float32(255) - _IMAGENET_MEAN) / _IMAGENET_DEVIATION
        case "rescale":
            return values * np.float32(1 / 255)
        case _:
            return values


def _in_mode(picture: Pillow.Image, mode: str) -> Pillow.Image:
    if mode == "L" and picture.mode.startswith("I"):
        return Pillow.fromarray((np.asarray(picture) // 256).astype(np.uint8))
    return picture if picture.mode == mode else picture.convert(mode)


def _fitted(picture: Pillow.Image, size: tuple[int, int], method: Pillow.Resampling, fit: str) -> Pillow.Image:
    match fit:
        case "crop":
            return picture.resize(size, method, box=_middle(picture.size, size))
        case "pad":
            return _padded(picture, size, method)
        case _:
            return picture.resize(size, method)


def _middle(picture: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the largest box of the size's shape in the middle of a picture, rounded as load_img does."""
    width = max(1, min(picture[0], picture[1] * size[0] // size[1]))
    height = max(1, min(picture[1], picture[0] * size[1] // size[0]))
    left, top = (picture[0] - width) // 2, (picture[1] - height) // 2
    return left, top, left + width, top + height


def _padded(picture: Pillow.Image, size: tuple[int, int], method: Pillow.Resampling) -> Pillow.Image:
    scale = min(size[0] / picture.width, size[1] / picture.height)
    width, height = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    padded = Pillow.new(picture.mode, size)
    padded.paste(picture.resize((width, height), method), ((size[0] - width) // 2, (size[1] - height) // 2))
    return padded
