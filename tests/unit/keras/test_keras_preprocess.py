"""Tests that pictures reach the model as Keras's load_img would load them."""

import io

import numpy as np
import pytest
from PIL import Image as Pillow

from services.keras.preprocess import to_input, to_pixels
from services.runtime.images.image import Image

_RANDOM = np.random.default_rng(3)
_NOISE = Pillow.fromarray(_RANDOM.integers(0, 256, (301, 457, 3), dtype=np.uint8))
_VEIL = Pillow.fromarray(_RANDOM.integers(0, 256, (301, 457), dtype=np.uint8))


def _stored(picture: Pillow.Image, file_format: str, **options: object) -> Pillow.Image:
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return Image(buffer.getvalue()).as_stored()


def _nearest(rgb: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the pixels under the centers of the new ones, as `load_img` does, but without Pillow."""
    rows = ((np.arange(height) + 0.5) * rgb.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * rgb.shape[1] / width).astype(int)
    return rgb[rows][:, columns]


def _with_alpha() -> Pillow.Image:
    picture = _NOISE.copy()
    picture.putalpha(_VEIL)
    return picture


@pytest.mark.parametrize(
    ("picture", "file_format"),
    [
        (_NOISE, "PNG"),
        (_NOISE.convert("L"), "PNG"),
        (_NOISE.quantize(32), "PNG"),
        (_with_alpha(), "PNG"),
        (_NOISE, "JPEG"),
        (_NOISE.convert("L"), "JPEG"),
        (_NOISE.convert("CMYK"), "JPEG"),
        (_NOISE, "WEBP"),
    ],
    ids=["rgb", "grey", "palette", "alpha", "jpeg", "grey-jpeg", "cmyk-jpeg", "webp"],
)
@pytest.mark.parametrize("size", [(224, 224), (96, 128), (301, 457), (640, 480)])
def test_nearest_pixels(picture: Pillow.Image, file_format: str, size: tuple[int, int]) -> None:
    """Whatever the file's mode, the tensor has the nearest RGB pixels, as uint8 [1, height, width, 3]."""
    stored = _stored(picture, file_format)
    pixels = to_pixels(stored, size)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (1, *size, 3)
    assert np.array_equal(pixels[0], _nearest(np.asarray(stored.convert("RGB")), *size))


def test_alpha_is_dropped_not_blended() -> None:
    """A transparent picture keeps the colors under the transparency, as with load_img."""
    picture = Pillow.new("RGBA", (8, 8), (200, 10, 20, 0))
    assert np.array_equal(to_pixels(_stored(picture, "PNG"), (2, 2)), np.full((1, 2, 2, 3), (200, 10, 20)))


def test_orientation_is_not_applied() -> None:
    """EXIF orientation is ignored: the picture is used as stored."""
    exif = Pillow.Exif()
    exif[0x0112] = 6
    plain, marked = _stored(_NOISE, "JPEG"), _stored(_NOISE, "JPEG", exif=exif)
    assert np.array_equal(to_pixels(plain), to_pixels(marked))


@pytest.mark.parametrize("picture", [_NOISE, _with_alpha(), _NOISE.quantize(32), _NOISE.convert("CMYK")])
def test_grey_pixels(picture: Pillow.Image) -> None:
    """For a network of one channel, the tensor is uint8 [1, height, width, 1] with the picture's brightness."""
    stored = _stored(picture, "JPEG" if picture.mode == "CMYK" else "PNG")
    pixels = to_pixels(stored, (301, 457), channels=1)
    assert np.array_equal(pixels[0, :, :, 0], np.asarray(stored.convert("L")))


def test_grey_pixels_of_sixteen_bits() -> None:
    """For a network of one channel, a picture of 16 bits is its copy of eight."""
    values = np.array([[0, 255], [256, 65535]], dtype=np.uint16)
    pixels = to_pixels(_stored(Pillow.fromarray(values), "PNG"), (2, 2), channels=1)
    assert pixels[0, :, :, 0].tolist() == [[0, 0], [1, 255]]


def test_pad() -> None:
    """Padding shows the whole picture in its own shape, in the middle of black."""
    white = Pillow.new("RGB", (40, 10), "white")
    pixels = to_pixels(white, (20, 20), fit="pad")[0]
    assert np.all(pixels[7:12] == 255)
    assert not pixels[:7].any()
    assert not pixels[12:].any()
    assert pixels.shape == (20, 20, 3)


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (1, 1)])
def test_extreme_shapes(fit: str, size: tuple[int, int]) -> None:
    """A picture one pixel wide or high fits, however it is made to."""
    pixels = to_pixels(Pillow.new("L", size, 255), (224, 96), fit=fit, interpolation="bicubic")
    assert pixels.shape == (1, 224, 96, 3)
    assert pixels.max() == 255


def test_sixteen_bit_grey() -> None:
    """16-bit gray becomes RGB as in Pillow, and therefore as in load_img."""
    values = np.array([[0, 255], [256, 65535]], dtype=np.uint16)
    stored = _stored(Pillow.fromarray(values), "PNG")
    assert np.array_equal(to_pixels(stored, (2, 2))[0], np.asarray(stored.convert("RGB")))


def _published(rgb: np.ndarray) -> dict[str, np.ndarray]:
    """Return one pixel's values by the published formulas, in float64."""
    red, green, blue = rgb.astype(np.float64)
    return {
        "none": np.array([red, green, blue]),
        "tf": np.array([red, green, blue]) / 127.5 - 1,
        "caffe": np.array([blue - 103.939, green - 116.779, red - 123.68]),
        "torch": (np.array([red, green, blue]) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
        "rescale": np.array([red, green, blue]) / 255,
    }


@pytest.mark.parametrize("preprocessing", ["none", "tf", "caffe", "torch", "rescale"])
def test_values_for_a_float_model(preprocessing: str) -> None:
    """A float32 model gets values as in its training, and a uint8 model gets the bytes themselves."""
    pixels = np.array([[[[0, 128, 255], [10, 20, 30]]]], np.uint8)
    values = to_input(pixels, np.dtype(np.float32), preprocessing)
    assert values.dtype == np.float32
    for value, rgb in zip(values[0, 0], pixels[0, 0], strict=True):
        assert value == pytest.approx(_published(rgb)[preprocessing], abs=1e-5)
    assert to_input(pixels, np.dtype(np.uint8), preprocessing) is pixels
