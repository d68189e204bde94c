"""The features of the hog-lbp recipe: shape and texture."""

import cv2
import numpy as np
import pytest

from local.pictures import photo
from services.runtime.images.faces import Face
from services.svm.recipes import hog_lbp
from services.svm.recipes.hog_lbp import HogLbp

FACE = Face(176, 66, 95, 95)


def test_a_face_and_its_mirror_image_swap_views() -> None:
    """A mirrored picture has the same two views in reverse order."""
    pixels = np.asarray(photo("Eileen Collins"))[66:162, 176:272]
    box = Face(0, 0, 96, 96)
    one, other = HogLbp().views(pixels, box), HogLbp().views(np.ascontiguousarray(pixels[:, ::-1]), box)
    assert one.shape == (HogLbp.view_count, HogLbp.length)
    assert one == pytest.approx(other[::-1], abs=1e-6)


def test_training_adds_four_views() -> None:
    """Training uses six views, of which the first two are those of recognition."""
    pixels = np.asarray(photo("Eileen Collins"))
    trained = HogLbp().training_views(pixels, FACE)
    assert trained.shape == (6, HogLbp.length)
    assert np.array_equal(trained[:2], HogLbp().views(pixels, FACE))
    assert not any(np.allclose(trained[0], other) for other in trained[1:])


def test_patterns_are_normalized() -> None:
    """The squares of the 59 numbers sum to 1 in each of the 36 parts."""
    grey = cv2.resize(np.asarray(photo("Grace Hopper").convert("L")), (96, 96))
    parts = hog_lbp.features(grey)[hog_lbp.HOG_LENGTH :].reshape(36, 59)
    assert (parts**2).sum(axis=1) == pytest.approx(np.ones(36))


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (4000, 40)])
def test_faces_of_any_size_have_features(size: tuple[int, int]) -> None:
    """Faces down to one pixel have finite features."""
    views = HogLbp().views(np.zeros((*size, 3), np.uint8), Face(0, 0, size[1], size[0]))
    assert np.isfinite(views).all()
