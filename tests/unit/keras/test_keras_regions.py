"""Tests of models for whole pictures or faces, and for labels or people, as the assets say."""

import io
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageOps

from local.pictures import photo, scene
from marquee.v1 import recognizer_pb2 as pb
from services.keras.preprocess import to_pixels
from services.keras.recognizer import KerasRecognizer
from services.keras.settings import KerasSettings
from services.runtime.images.faces import Face
from services.runtime.images.haar import HaarFaces
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Options
from tests.support.processes import run
from tests.support.tf_serving_models import serving, write_brightness_model

_EILEEN = Face(176, 66, 95, 95)
_NAMES = ("Eileen_Collins", "Somebody Else")


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


async def _result(folder: Path, picture: Image, **model: Any) -> pb.RecognizerResult:
    base = write_brightness_model(folder, **model)
    async with serving(base) as port:
        recognizer = KerasRecognizer(KerasSettings(keras_target=f"127.0.0.1:{port}", keras_assets=base))
        try:
            await recognizer.load()
            options = Options("t", recognizer.features, 10, 0, "", include_embeddings=False, deadline=_soon())
            return await recognizer.recognize(picture, options)
        finally:
            await recognizer.close()


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


async def test_person_in_each_face(tmp_path: Path) -> None:
    """A network that identifies people by their faces gets each face alone; its candidates have the face's box."""
    result = await _result(tmp_path, _file(_two_faces()), labels=_NAMES, kind="identity", regions="faces", threshold=0)
    faces = HaarFaces().find(np.asarray(_two_faces()))
    assert faces[0].left == pytest.approx(_EILEEN.left, abs=8)
    assert len(result.faces) == len(faces) == 2
    for result_face, face in zip(result.faces, faces, strict=True):
        assert result_face.box.left == pytest.approx(face.left / 1024)
        assert result_face.box.height == pytest.approx(face.height / 512)
        assert result_face.candidates[0].person_id == "eileen-collins"
        assert result_face.candidates[0].score == pytest.approx(_brightness(_two_faces(), face), abs=1e-5)


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


def test_faces_without_opencv() -> None:
    """Without OpenCV, a network for faces is refused; the error says what to install."""
    code = (
        "import sys; sys.modules['cv2'] = None\n"
        "from services.keras.assets import Assets\n"
        "from services.keras.regions import prepare\n"
        "prepare(Assets(labels=['a', 'b']))\n"
        "prepare(Assets(labels=['a', 'b'], regions='faces'))\n"
    )
    done = run([sys.executable, "-c", code])
    assert "cv2 is not installed: install the extra `keras-faces`" in done.stderr
