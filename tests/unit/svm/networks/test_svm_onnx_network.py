"""A network from an ONNX file: what its manifest may say, and what it makes of a face."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage.transform import SimilarityTransform

from local.pictures import photo
from services.runtime.errors import Misconfigured
from services.runtime.images.faces import Face
from services.runtime.images.image import Pixels
from services.svm.faces.finder import FaceFinder
from services.svm.networks.onnx_network import embedder_of, similarity
from tests.support.onnx_networks import MANIFEST, write_network

PIXELS = 3 * 16 * 16
ARCFACE = [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]


@pytest.fixture(scope="module")
def chip() -> Pixels:
    return np.random.default_rng(3).integers(0, 256, (16, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize("batch", [1, "n"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("colour_order", ["rgb", "bgr"])
def test_pixels_arrive_as_the_manifest_says(
    chip: Pixels, tmp_path: Path, batch: int | str, layout: str, colour_order: str
) -> None:
    """A face that lies as the template wants it reaches the network unmoved, in its order, layout, mean and scale."""
    mean, scale = [10.0, 20.0, 30.0], [0.5, 0.25, 0.125]
    own: dict[str, Any] = {"layout": layout, "colour_order": colour_order, "mean": mean, "scale": scale}
    embedder = embedder_of(write_network(tmp_path, batch=batch, length=PIXELS, **own))
    colours = chip if colour_order == "rgb" else chip[:, :, ::-1]
    expected = (colours - np.array(mean)) * scale
    expected = expected if layout == "nhwc" else expected.transpose(2, 0, 1)
    face = Face(0, 0, 16, 16, points=tuple(map(tuple, MANIFEST["template"])))
    assert embedder.embed(chip, face) == pytest.approx(expected.ravel(), abs=1e-4)


def test_it_equals_opencvs_recognizer(tmp_path: Path) -> None:
    """The same file gives the vector that OpenCV's FaceRecognizerSF gives, which is fed as SFace is."""
    address = write_network(
        tmp_path, batch=1, width=112, height=112, mean=0.0, scale=1.0, template=ARCFACE, metric="cosine"
    )
    picture = cv2.GaussianBlur(np.random.default_rng(5).integers(0, 256, (300, 400, 3), dtype=np.uint8), (0, 0), 5)
    points = np.array([[170, 110], [228, 121], [196, 150], [168, 175], [215, 184]], np.float32)
    reference = cv2.FaceRecognizerSF.create(address.removeprefix("onnx:"), "")
    box = np.concatenate([[140, 70, 120, 150], points.ravel(), [0.9]]).astype(np.float32)[np.newaxis]
    expected = reference.feature(reference.alignCrop(picture[:, :, ::-1], box))[0]
    vector = embedder_of(address).embed(picture, Face(140, 70, 120, 150, points=tuple(map(tuple, points))))
    assert vector == pytest.approx(expected / np.linalg.norm(expected), abs=2e-3)


def test_points_are_fitted_as_umeyama_does() -> None:
    """The transform equals scikit-image's, also for two points."""
    random = np.random.default_rng(1)
    for count in (5, 2):
        points, template = random.normal(100, 30, (2, count, 2))
        reference = SimilarityTransform.from_estimate(points, template)
        assert similarity(points, template) == pytest.approx(reference.params[:2], abs=1e-6)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": ""}, "name: "),
        ({"name": "a\nb"}, "name: "),
        ({"version": None}, "version: "),
        ({"licence": 3}, "licence: "),
        ({"evidence_group": ...}, "evidence_group: Field required"),
        ({"colour": "rgb"}, "colour: Extra inputs are not permitted"),
        ({"colour_order": "RGB"}, "colour_order: Input should be 'rgb' or 'bgr'"),
        ({"layout": "hwc"}, "layout: "),
        ({"width": 0}, "width: Input should be greater than or equal to 16"),
        ({"height": "16"}, "height: Input should be a valid integer"),
        ({"mean": [1, 2]}, "mean"),
        ({"scale": "small"}, "scale"),
        ({"length": True}, "length: Input should be a valid integer"),
        ({"metric": "dot"}, "metric: Input should be 'l2' or 'cosine'"),
        ({"distance": 0}, "distance: Input should be greater than 0"),
        ({"metric": "cosine", "distance": 2}, "distance: a cosine distance"),
        ({"sha256": "abc"}, "sha256: "),
        ({"template": [[1, 1]] * 4}, "template"),
        ({"template": ...}, "template: required for an input of 16 by 16"),
        ({"template": [[11, 6], [5, 6], [8, 9], [10, 12], [6, 12]]}, "template: five points of an upright face"),
        ({"template": [[5, 6], [21, 6], [8, 9], [6, 12], [10, 12]]}, "template: five points of an upright face"),
    ],
)
def test_a_wrong_manifest_is_explained(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    """The error names the manifest's file and the field."""
    address = write_network(tmp_path)
    manifest = {name: value for name, value in (MANIFEST | change).items() if value is not ...}
    (tmp_path / "net.onnx.json").write_text(json.dumps(manifest))
    with pytest.raises(Misconfigured) as caught:
        embedder_of(address)
    assert f"{tmp_path}/net.onnx.json is no manifest of a network: {reason}" in caught.value.message


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff"])
def test_what_is_no_json_object_is_explained(tmp_path: Path, content: bytes) -> None:
    """A manifest that is empty, broken or no object is refused by name."""
    address = write_network(tmp_path)
    (tmp_path / "net.onnx.json").write_bytes(content)
    with pytest.raises(Misconfigured, match=r"net\.onnx\.json is no manifest"):
        embedder_of(address)


@pytest.mark.parametrize(
    ("written", "stated", "reason"),
    [
        ({}, {"length": 31}, r"\[1, 32\].* not \[1, 31\]"),
        ({}, {"width": 32}, r"its input is tensor\(float\) \['n', 3, 16, 16\], not .*\[1, 3, 16, 32\]"),
        ({}, {"layout": "nhwc"}, r"not tensor\(float\) \[1, 16, 16, 3\]"),
        ({"batch": 2}, {}, "its input is"),
        ({"outputs": 2}, {}, "1 inputs and 2 outputs"),
        ({}, {"sha256": "0" * 64}, "sha256: the file's is [0-9a-f]{64}"),
    ],
)
def test_a_network_unlike_its_manifest_is_explained(
    tmp_path: Path, written: dict[str, Any], stated: dict[str, Any], reason: str
) -> None:
    """The network is checked and run when it is loaded, and the error names both files."""
    address = write_network(tmp_path, **written)
    (tmp_path / "net.onnx.json").write_text(json.dumps(MANIFEST | stated))
    with pytest.raises(Misconfigured, match=rf"net\.onnx, by its manifest .*net\.onnx\.json, is wrong: .*{reason}"):
        embedder_of(address)


@pytest.mark.parametrize("content", [b"", b"no network"])
def test_a_damaged_network_is_explained(tmp_path: Path, content: bytes) -> None:
    """A file that is no ONNX model is refused by name."""
    address = write_network(tmp_path)
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(Misconfigured, match=r"net\.onnx"):
        embedder_of(address)


@pytest.mark.parametrize("missing", ["net.onnx", "net.onnx.json"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    """Network and manifest are both required, and the page that describes them is named."""
    address = write_network(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(Misconfigured, match=rf"{missing} cannot be used: there is no such file.*docs/faces\.md"):
        embedder_of(address)


def test_a_stated_hash_is_checked(tmp_path: Path) -> None:
    """The right hash is accepted."""
    address = write_network(tmp_path)
    digest = hashlib.sha256((tmp_path / "net.onnx").read_bytes()).hexdigest()
    (tmp_path / "net.onnx.json").write_text(json.dumps(MANIFEST | {"sha256": digest}))
    assert embedder_of(address).network.length == MANIFEST["length"]


def test_no_points_fall_back_to_the_eyes(tmp_path: Path) -> None:
    """A face that came without points, as from a caller, is aligned by the eyes that dlib finds in its box."""
    picture = np.asarray(photo("Eileen Collins"))
    embedder = embedder_of(write_network(tmp_path, width=112, height=112, template=ARCFACE, metric="cosine"))
    (whole,) = FaceFinder().find(picture).faces
    bare = replace(whole, points=())
    assert embedder.embed(picture, whole) @ embedder.embed(picture, bare) > 0.9
