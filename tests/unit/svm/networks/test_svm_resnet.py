"""dlib's network in onnxruntime."""

import dlib
import numpy as np
import pytest

from local.pictures import PEOPLE, photo
from services.runtime.images.detector import FaceDetector
from services.runtime.images.image import Pixels
from services.runtime.images.weights import DLIB_RESNET
from services.svm.faces.alignment import DlibAlignment
from services.svm.networks import resnet_graph
from services.svm.networks.dlib_resnet import ResNet, read_weights
from services.svm.networks.network import DLIB


@pytest.fixture(scope="module")
def chips() -> Pixels:
    """Return an aligned face of each person, and noise, which makes other values large."""
    detector, alignment, chips = FaceDetector(), DlibAlignment(), []
    for person in PEOPLE:
        pixels = np.asarray(photo(person))
        chips.append(alignment.chip(pixels, detector.find(pixels).faces[0]))
    noise = np.random.default_rng(0).integers(0, 256, (150, 150, 3), dtype=np.uint8)
    return np.stack([*chips, noise])


def test_it_equals_dlib(chips: Pixels) -> None:
    """Every number of every face equals dlib's within 1e-4; the measured difference is 4e-7."""
    reference = dlib.face_recognition_model_v1(str(DLIB_RESNET.locate()))
    expected = np.array([reference.compute_face_descriptor(chip) for chip in chips])
    assert np.abs(ResNet().embed(chips) - expected).max() < 1e-4


def test_a_batch_equals_single_faces(chips: Pixels) -> None:
    """A batch of faces gives the same embeddings as each face by itself."""
    network = ResNet()
    alone = np.concatenate([network.embed(chip[np.newaxis]) for chip in chips])
    assert network.embed(chips) == pytest.approx(alone, abs=1e-5)


def test_all_weights_are_read() -> None:
    """The file yields 29 convolutions and the matrix, 5.6 million numbers."""
    read = read_weights()
    assert len(read.convolutions) == 29
    assert read.matrix.shape == (256, DLIB.length)
    assert sum(kernel.size + bias.size for kernel, bias in read.convolutions) > 5_500_000


def test_the_committed_graph_is_fresh() -> None:
    """`python -m services.svm.networks.resnet_graph` would write the same file."""
    assert resnet_graph.PATH.read_bytes() == resnet_graph.graph()
