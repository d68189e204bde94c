"""Pictures as Keras loads them. Needs neither Keras nor the rest of this project."""

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

Pixels = npt.NDArray[np.uint8]
SIZE = (224, 224)


def to_pixels(stored: Pillow.Image, size: tuple[int, int] = SIZE) -> Pixels:
    """What Keras's `load_img(target_size=size)` and `img_to_array` give, as uint8 [1, height, width, 3], RGB.

    `stored` is the picture as its file has it: Keras applies no EXIF orientation, drops an alpha channel
    without blending, and takes the nearest pixel. Source: keras/src/utils/image_utils.py.
    """
    picture = stored if stored.mode == "RGB" else stored.convert("RGB")
    height, width = size
    if picture.size != (width, height):
        picture = picture.resize((width, height), Pillow.Resampling.NEAREST)
    return np.asarray(picture, dtype=np.uint8)[np.newaxis]
