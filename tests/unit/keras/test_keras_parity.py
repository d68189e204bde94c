"""Tests that compare the adapter's pixels with Keras's own."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from services.keras.preprocess import to_input, to_pixels
from services.runtime.images.image import Image
from tests.support.processes import run, train_python

pytestmark = pytest.mark.slow

_KERAS = """
import sys, keras, numpy as np
files, sizes = sys.argv[2:], ((224, 224), (96, 128))
tensors = {}
for size in sizes:
    for file in files:
        picture = keras.utils.load_img(file, target_size=size)
        tensors[f"{file} {size}"] = keras.utils.img_to_array(picture)
    for file in files:
        picture = keras.utils.load_img(file, color_mode="grayscale", target_size=size)
        tensors[f"{file} {size} grey"] = keras.utils.img_to_array(picture)
    for method in ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"):
        for fit in ("stretch", "crop"):
            how = {"target_size": size, "interpolation": method, "keep_aspect_ratio": fit == "crop"}
            for file in files[:2]:
                tensors[f"{file} {size} {method} {fit}"] = keras.utils.img_to_array(keras.utils.load_img(file, **how))
for mode in ("tf", "caffe", "torch"):
    values = keras.utils.img_to_array(keras.utils.load_img(files[0], target_size=sizes[0]))
    tensors[mode] = keras.applications.imagenet_utils.preprocess_input(values.copy(), mode=mode)
tensors["rescale"] = np.asarray(keras.layers.Rescaling(1 / 255)(values))
np.savez(sys.argv[1], **tensors)
"""
_SIZES = ((224, 224), (96, 128))


def _pictures() -> dict[str, bytes]:
    """Return files of every kind, filled with noise so that every wrong pixel shows."""
    random = np.random.default_rng(8)
    noise = Pillow.fromarray(random.integers(0, 256, (301, 457, 3), dtype=np.uint8))
    alpha = noise.copy()
    alpha.putalpha(Pillow.fromarray(random.integers(0, 256, (301, 457), dtype=np.uint8)))
    exif = Pillow.Exif()
    exif[0x0112] = 6
    palette = noise.quantize(32)
    return {
        "rgb.jpg": _file(noise, "JPEG", quality=90),
        "progressive.jpg": _file(noise, "JPEG", progressive=True, subsampling=0),
        "grey.jpg": _file(noise.convert("L"), "JPEG"),
        "cmyk.jpg": _file(noise.convert("CMYK"), "JPEG"),
        "turned.jpg": _file(noise, "JPEG", exif=exif),
        "rgb.png": _file(noise, "PNG"),
        "grey.png": _file(noise.convert("L"), "PNG"),
        "grey-alpha.png": _file(alpha.convert("LA"), "PNG"),
        "alpha.png": _file(alpha, "PNG"),
        "palette.png": _file(palette, "PNG"),
        "transparent-palette.png": _file(palette, "PNG", transparency=3),
        "bilevel.png": _file(noise.convert("1"), "PNG"),
        "sixteen-bits.png": _file(Pillow.fromarray(random.integers(0, 65536, (301, 457), dtype=np.uint16)), "PNG"),
        "rgb.webp": _file(noise, "WEBP"),
        "tiny.png": _file(noise.crop((0, 0, 3, 2)), "PNG"),
    }


def _file(picture: Pillow.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module", name="expected")
def _expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """Return Keras's own values for the pictures."""
    folder = tmp_path_factory.mktemp("parity")
    for name, content in _pictures().items():
        (folder / name).write_bytes(content)
    command = [train_python(), "-c", _KERAS, "expected.npz", *_pictures()]
    run(command, cwd=folder).check_returncode()
    return dict(np.load(Path(folder) / "expected.npz"))


@pytest.mark.parametrize("size", _SIZES)
@pytest.mark.parametrize("name", _pictures())
def test_pixels(expected: dict[str, np.ndarray], name: str, size: tuple[int, int]) -> None:
    """Every kind of file gives exactly the pixels of `load_img` and `img_to_array`."""
    pixels = to_pixels(Image(_pictures()[name]).as_stored(), size)
    assert np.array_equal(pixels[0].astype(np.float32), expected[f"{name} {size}"])


@pytest.mark.parametrize("size", _SIZES)
@pytest.mark.parametrize("name", _pictures())
def test_grey_pixels(expected: dict[str, np.ndarray], name: str, size: tuple[int, int]) -> None:
    """For one channel, every kind of file gives the pixels of color_mode="grayscale"; of 16 bits, the upper eight."""
    pixels = to_pixels(Image(_pictures()[name]).as_stored(), size, 1)
    values = expected[f"{name} {size} grey"]
    assert np.array_equal(pixels[0], values // 256 if name == "sixteen-bits.png" else values)


@pytest.mark.parametrize("size", _SIZES)
@pytest.mark.parametrize("fit", ["stretch", "crop"])
@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"])
def test_fitted_pixels(expected: dict[str, np.ndarray], method: str, fit: str, size: tuple[int, int]) -> None:
    """Each interpolation is load_img's, and a crop is its keep_aspect_ratio, bit for bit."""
    for name in list(_pictures())[:2]:
        pixels = to_pixels(Image(_pictures()[name]).as_stored(), size, 3, method, fit)
        assert np.array_equal(pixels[0], expected[f"{name} {size} {method} {fit}"])


@pytest.mark.parametrize("preprocessing", ["tf", "caffe", "torch", "rescale"])
def test_values(expected: dict[str, np.ndarray], preprocessing: str) -> None:
    """A float32 model gets exactly the values of Keras's `preprocess_input` and Rescaling(1 / 255)."""
    pixels = to_pixels(Image(_pictures()["rgb.jpg"]).as_stored())
    assert np.array_equal(to_input(pixels, np.dtype(np.float32), preprocessing)[0], expected[preprocessing])
