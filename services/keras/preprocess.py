"""Pictures as Keras loads them, without Keras."""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

Pixels = npt.NDArray[np.uint8]
SIZE = (224, 224)
_IMAGENET_BGR = np.array([103.939, 116.779, 123.68], np.float32)


def to_pixels(stored: Pillow.Image, size: tuple[int, int] = SIZE) -> Pixels:
    """Return what Keras's `load_img(target_size=size)` and `img_to_array` do, as uint8 [1, height, width, 3], RGB.

    `stored` is the picture as its file has it: Keras ignores the EXIF orientation, drops an alpha channel
    without blending, and takes the nearest pixel. Source: keras/src/utils/image_utils.py.
    """
    picture = stored if stored.mode == "RGB" else stored.convert("RGB")
    height, width = size
    if picture.size != (width, height):
        picture = picture.resize((width, height), Pillow.Resampling.NEAREST)
    return np.asarray(picture, dtype=np.uint8)[np.newaxis]


def to_input(pixels: Pixels, dtype: np.dtype[Any], preprocessing: str) -> npt.NDArray[Any]:
    """Return the tensor for a model's input: the pixels for uint8, preprocessed values for float32.

    `preprocessing` is that of Assets. "tf" and "caffe" equal `_preprocess_numpy_input` in
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
        case "rescale":
            return values * np.float32(1 / 255)
        case _:
            return values
