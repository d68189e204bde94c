"""The features of the published recipe."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import pywt

from local.pictures import photo
from services.runtime.images.image import Pixels
from services.svm.faces import Face
from services.svm.recipes import wavelet

Features = npt.NDArray[np.float64]


def plain_features(face: Pixels) -> Features:
    """The published computation, on OpenCV's order of channels."""
    bgr = np.ascontiguousarray(face[:, :, ::-1])
    grey = np.float32(cv2.cvtColor(bgr, cv2.COLOR_RGB2GRAY)) / 255
    levels = list(pywt.wavedec2(grey, "db1", level=5))
    levels[0] = levels[0] * 0
    edges = (pywt.waverec2(levels, "db1") * 255).astype(np.int64) % 256
    raw = cv2.resize(bgr, (32, 32)).reshape(32 * 32 * 3, 1)
    small = cv2.resize(edges.astype(np.uint8), (32, 32)).reshape(32 * 32, 1)
    return np.asarray(np.vstack((raw, small)).astype(float)[:, 0])


@pytest.mark.parametrize("box", [(176, 66, 271, 161), (180, 70, 263, 171), (0, 0, 512, 512)])
def test_features_equal_a_plain_computation(box: tuple[int, int, int, int]) -> None:
    """Even, odd and large crops give the published features, to the digit."""
    face = np.asarray(photo("Eileen Collins").crop(box))
    assert np.array_equal(wavelet.features(face), plain_features(face))


def test_colour_comes_first_and_is_blue_green_red() -> None:
    """The first 3072 numbers are the small picture as OpenCV has it; a flat face has no edges."""
    red = np.zeros((40, 40, 3), np.uint8)
    red[:, :, 0] = 200
    features = wavelet.features(red)
    assert features[:3].tolist() == [0, 0, 200]
    assert not features[3072:].any()


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (31, 33)])
def test_a_face_of_too_few_pixels_has_features_too(size: tuple[int, int]) -> None:
    """A face clipped by the picture's edge to almost nothing gives 4096 numbers, and no warning."""
    assert wavelet.features(np.zeros((*size, 3), np.uint8)).shape == (wavelet.Wavelet.length,)


@pytest.mark.parametrize("shape", [(32, 32), (95, 95), (47, 63), (33, 200), (70, 101)])
def test_the_direct_transform_gives_the_bits_of_pywavelets(shape: tuple[int, int]) -> None:
    """Even and odd sides: not one bit differs, so that cutting to whole numbers gives the same ones."""
    grey = np.random.default_rng(0).integers(0, 256, shape).astype(np.float32) / 255
    levels = list(pywt.wavedec2(grey, "db1", level=5))
    levels[0] = levels[0] * 0
    assert np.array_equal(wavelet.without_coarsest(grey), pywt.waverec2(levels, "db1"))


def test_a_face_in_a_picture_is_cut_out() -> None:
    """The recipe looks at the face's box alone."""
    pixels = np.asarray(photo("Eileen Collins"))
    views = wavelet.Wavelet().views(pixels, Face(176, 66, 95, 95))
    assert np.array_equal(views, [wavelet.features(pixels[66:161, 176:271])])
