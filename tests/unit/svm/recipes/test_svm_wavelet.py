"""The features of the wavelet recipe, which is the published one."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import pywt

from local.pictures import photo
from services.runtime.images.faces import Face
from services.runtime.images.image import Pixels
from services.svm.recipes import wavelet

Features = npt.NDArray[np.float64]


def plain_features(face: Pixels) -> Features:
    """Compute the features as published, on OpenCV's order of channels."""
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
    """Even, odd and large crops give exactly the published features."""
    face = np.asarray(photo("Eileen Collins").crop(box))
    assert np.array_equal(wavelet.features(face), plain_features(face))


def test_colour_comes_first_and_is_blue_green_red() -> None:
    """The first 3072 numbers are the small picture in OpenCV's order; a flat face has no edges."""
    red = np.zeros((40, 40, 3), np.uint8)
    red[:, :, 0] = 200
    features = wavelet.features(red)
    assert features[:3].tolist() == [0, 0, 200]
    assert not features[3072:].any()


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (31, 33)])
def test_a_tiny_face_has_features(size: tuple[int, int]) -> None:
    """A face clipped to almost nothing by the picture's edge gives 4096 numbers and no warning."""
    assert wavelet.features(np.zeros((*size, 3), np.uint8)).shape == (wavelet.Wavelet.length,)


@pytest.mark.parametrize("shape", [(32, 32), (95, 95), (47, 63), (33, 200), (70, 101)])
def test_the_direct_transform_equals_pywavelets_exactly(shape: tuple[int, int]) -> None:
    """No bit differs for even and odd sides, so that truncation gives the same whole numbers."""
    grey = np.random.default_rng(0).integers(0, 256, shape).astype(np.float32) / 255
    levels = list(pywt.wavedec2(grey, "db1", level=5))
    levels[0] = levels[0] * 0
    assert np.array_equal(wavelet.without_coarsest(grey), pywt.waverec2(levels, "db1"))


def test_only_the_faces_box_counts() -> None:
    """The recipe uses only the pixels within the face's box."""
    pixels = np.asarray(photo("Eileen Collins"))
    views = wavelet.Wavelet().views(pixels, Face(176, 66, 95, 95))
    assert np.array_equal(views, [wavelet.features(pixels[66:161, 176:271])])
