"""The SVM recognizer with its committed model."""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageFilter

from local.pictures import demo_pictures
from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import InvalidImage, InvalidRequest, Misconfigured, NotReady, Overloaded
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Options
from services.runtime.requests import Feature
from services.svm import artifact
from services.svm.networks.network import DLIB
from services.svm.recognizer import SvmRecognizer
from services.svm.settings import SvmSettings

NAMES = pb.FEATURE_CELEBRITIES
FACES = pb.FEATURE_FACES


def jpeg(picture: Pillow.Image) -> Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return Image(buffer.getvalue())


@pytest.fixture(scope="module")
def pictures() -> dict[str, Pillow.Image]:
    return demo_pictures()


def options_for(*features: Feature) -> Options:
    return Options("test", features, 10, 0, "", include_embeddings=False, deadline=time.monotonic() + 600)


@pytest.fixture
async def svm() -> AsyncIterator[SvmRecognizer]:
    recognizer = SvmRecognizer(SvmSettings(workers=2))
    await recognizer.load()
    yield recognizer
    await recognizer.close()


def names(result: pb.RecognizerResult) -> list[str]:
    return [face.candidates[0].display_name for face in result.faces]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("collins.jpg", ["Eileen Collins"]),
        ("hopper.jpg", ["Grace Hopper"]),
        ("both.jpg", ["Eileen Collins", "Grace Hopper"]),
        ("coffee.jpg", []),
    ],
)
async def test_the_demo_pictures_are_named(
    svm: SvmRecognizer, pictures: dict[str, Pillow.Image], file: str, expected: list[str]
) -> None:
    """The committed model names each person in pictures unlike its training pictures, and nobody in a cup."""
    result = await svm.recognize(jpeg(pictures[file]), options_for(NAMES))
    assert names(result) == expected
    for face in result.faces:
        assert face.candidates[0].score > 0.5
        assert face.candidates[0].person_id == face.candidates[0].display_name.lower().replace(" ", "-")
        assert not any(candidate.enrolled for candidate in face.candidates)
        assert sorted(face.candidates, key=lambda one: -one.score) == list(face.candidates)


async def test_boxes_are_shares_of_the_picture(svm: SvmRecognizer, pictures: dict[str, Pillow.Image]) -> None:
    """The boxes of both faces have the right place and size as shares of 0 to 1."""
    result = await svm.recognize(jpeg(pictures["both.jpg"]), options_for(NAMES))
    left, right = (face.box for face in result.faces)
    assert left.left + left.width / 2 == pytest.approx(0.23, abs=0.02)
    assert left.top + left.height / 2 == pytest.approx(0.29, abs=0.03)
    assert right.left + right.width / 2 == pytest.approx(0.76, abs=0.02)
    assert right.top + right.height < 1


async def test_features_are_separate(svm: SvmRecognizer, pictures: dict[str, Pillow.Image]) -> None:
    """FACES alone gives boxes and quality but no names; CELEBRITIES alone gives no quality."""
    only_faces = (await svm.recognize(jpeg(pictures["collins.jpg"]), options_for(FACES))).faces[0]
    assert not only_faces.candidates
    assert 0 < only_faces.quality.sharpness < 1
    assert 0 < only_faces.quality.brightness < 1
    only_names = (await svm.recognize(jpeg(pictures["collins.jpg"]), options_for(NAMES))).faces[0]
    assert not only_names.HasField("quality")


def blurred(picture: Pillow.Image) -> Pillow.Image:
    return picture.filter(ImageFilter.GaussianBlur(5))


def noisy(picture: Pillow.Image) -> Pillow.Image:
    noise = np.random.default_rng(0).normal(0, 40, np.asarray(picture).shape)
    return Pillow.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))


def small(picture: Pillow.Image) -> Pillow.Image:
    return picture.resize((picture.width // 3, picture.height // 3), Pillow.Resampling.BOX)


@pytest.mark.parametrize(
    ("spoil", "words"), [(small, "pixels wide"), (blurred, "blurred or noisy"), (noisy, "blurred or noisy")]
)
async def test_a_face_that_the_picture_does_not_carry_has_no_name(
    svm: SvmRecognizer, pictures: dict[str, Pillow.Image], spoil: Callable[[Pillow.Image], Pillow.Image], words: str
) -> None:
    """A face too small, blurred or noisy is found and has no candidates, and a warning says why."""
    result = await svm.recognize(jpeg(spoil(pictures["collins.jpg"])), options_for(NAMES))
    assert [list(face.candidates) for face in result.faces] == [[]]
    (warning,) = result.warnings
    assert warning.startswith("Not named: the face is ")
    assert words in warning


async def test_warnings_say_which_faces_have_no_name(svm: SvmRecognizer, pictures: dict[str, Pillow.Image]) -> None:
    """Of many faces a warning for each reason tells their places from left to right; the others are named."""
    tiny = small(pictures["collins.jpg"])
    sheet = Pillow.new("RGB", (tiny.width * 8 + 720, 400))
    for place in range(8):
        sheet.paste(tiny, (tiny.width * place, 0))
    sheet.paste(pictures["both.jpg"], (tiny.width * 8, 0))
    result = await svm.recognize(jpeg(sheet), options_for(NAMES))
    assert [bool(face.candidates) for face in result.faces] == [False] * 8 + [True] * 2
    (warning,) = result.warnings
    assert warning.startswith("Not named: the 1st face from the left is ")
    assert warning.endswith("Also too small: the 2nd, the 3rd, the 4th, the 5th, the 6th, 2 more.")


async def test_given_faces_are_described_in_their_order(svm: SvmRecognizer, pictures: dict[str, Pillow.Image]) -> None:
    """Given boxes come back as they are, each with its name and the embedding that the same face has if detected."""
    picture = jpeg(pictures["both.jpg"])
    detected = await svm.recognize(picture, replace(options_for(FACES), include_embeddings=True))
    boxes = [detected.faces[place].box for place in (1, 0, 1)]
    given = replace(options_for(NAMES), include_embeddings=True, face_boxes=boxes)
    result = await svm.recognize(picture, given)
    assert [face.box for face in result.faces] == boxes
    assert names(result) == ["Grace Hopper", "Eileen Collins", "Grace Hopper"]
    for face, place in zip(result.faces, (1, 0, 1), strict=True):
        assert face.embedding == detected.faces[place].embedding
    assert (result.faces[0].embedding.version, result.faces[0].embedding.metric) == (DLIB.id.version, DLIB.metric)


async def test_a_given_box_without_a_face_has_an_embedding_and_no_name(
    svm: SvmRecognizer, pictures: dict[str, Pillow.Image]
) -> None:
    """A box in which no face of its size is seen is embedded as it is, and a warning says why it has no name."""
    boxes = [pb.BoundingBox(left=0.3, top=0.3, width=0.2, height=0.3), pb.BoundingBox(width=1, height=1)]
    given = replace(options_for(NAMES), include_embeddings=True, face_boxes=boxes)
    result = await svm.recognize(jpeg(pictures["coffee.jpg"]), given)
    assert [(len(face.candidates), len(face.embedding.values)) for face in result.faces] == [(0, 128)] * 2
    (warning,) = result.warnings
    assert warning.startswith("Not named: the 1st given face is not seen in its box.")


async def test_given_boxes_are_of_the_upright_picture(svm: SvmRecognizer, pictures: dict[str, Pillow.Image]) -> None:
    """In a file that is stored on its side, boxes are where people see the faces."""
    upright = pictures["both.jpg"]
    (box,) = [face.box for face in (await svm.recognize(jpeg(upright), options_for(FACES))).faces][1:]
    exif = Pillow.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    upright.transpose(Pillow.Transpose.ROTATE_90).save(buffer, "JPEG", quality=90, exif=exif)
    result = await svm.recognize(Image(buffer.getvalue()), replace(options_for(NAMES), face_boxes=[box]))
    assert names(result) == ["Grace Hopper"]


async def test_a_given_box_of_a_few_pixels_is_refused(svm: SvmRecognizer, pictures: dict[str, Pillow.Image]) -> None:
    """The error names the box, its pixels and the minimum."""
    boxes = [pb.BoundingBox(width=1, height=1), pb.BoundingBox(width=0.01, height=0.5)]
    with pytest.raises(InvalidRequest, match=r"face_boxes\[1\] has \d+x\d+ pixels; the minimum is 10x10"):
        await svm.recognize(jpeg(pictures["both.jpg"]), replace(options_for(FACES), face_boxes=boxes))


async def test_a_face_below_the_threshold_is_nobody(tmp_path: Path, pictures: dict[str, Pillow.Image]) -> None:
    """A face unlike all known people has no candidates."""
    demo = artifact.load(SvmSettings().svm_model)
    strict = replace(demo, calibration=replace(demo.calibration, threshold=0.0))
    artifact.save(strict, tmp_path / "strict.skops")
    recognizer = SvmRecognizer(SvmSettings(svm_model=str(tmp_path / "strict.skops"), workers=1))
    await recognizer.load()
    result = await recognizer.recognize(jpeg(pictures["collins.jpg"]), options_for(NAMES))
    await recognizer.close()
    assert len(result.faces) == 1
    assert not result.faces[0].candidates


async def test_results_name_the_model(svm: SvmRecognizer, pictures: dict[str, Pillow.Image]) -> None:
    """Results and ListRecognizers name the same model and version, and results contain the time in the queue."""
    result = await svm.recognize(jpeg(pictures["coffee.jpg"]), options_for(NAMES))
    assert result.model == svm.describe().models[0]
    assert (result.model.name, result.model.evidence_group) == ("embedding", DLIB.evidence_group)
    demo = artifact.load(SvmSettings().svm_model)
    assert result.model.version == demo.version
    assert result.model.identify_score == pytest.approx(demo.calibration.identify_score)
    assert result.timings.HasField("queue")


async def test_concurrent_calls(svm: SvmRecognizer, pictures: dict[str, Pillow.Image]) -> None:
    """Concurrent calls get the same results as single calls."""
    files = list(pictures) * 2
    results = await asyncio.gather(*(svm.recognize(jpeg(pictures[file]), options_for(NAMES)) for file in files))
    faces = [names(result) for result in results]
    assert faces[:4] == faces[4:] == [["Eileen Collins"], ["Grace Hopper"], ["Eileen Collins", "Grace Hopper"], []]


async def test_too_many_pictures_are_refused(pictures: dict[str, Pillow.Image]) -> None:
    """A call beyond workers and queue is refused at once."""
    recognizer = SvmRecognizer(SvmSettings(workers=1, queue=1))
    await recognizer.load()
    calls = [recognizer.recognize(jpeg(pictures["coffee.jpg"]), options_for(NAMES)) for _ in range(4)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    await recognizer.close()
    assert sum(isinstance(result, Overloaded) for result in results) == 2


async def test_a_bad_picture_is_the_callers_error(svm: SvmRecognizer) -> None:
    """Bytes that are not a picture raise InvalidImage, and the recognizer carries on."""
    with pytest.raises(InvalidImage):
        await svm.recognize(Image(b"words"), options_for(NAMES))
    grey = jpeg(demo_pictures()["coffee.jpg"].convert("L"))
    assert not (await svm.recognize(grey, options_for(NAMES))).faces


async def test_a_call_before_load_is_not_ready() -> None:
    """A call before the model is loaded raises NotReady."""
    recognizer = SvmRecognizer(SvmSettings(workers=1))
    with pytest.raises(NotReady):
        await recognizer.recognize(Image(np.zeros(1).tobytes()), options_for(NAMES))
    await recognizer.close()


async def test_a_missing_model_stops_the_start(tmp_path: Path) -> None:
    """A path without a model is the operator's mistake and raises Misconfigured."""
    recognizer = SvmRecognizer(SvmSettings(svm_model=str(tmp_path / "nothing.skops"), workers=1))
    with pytest.raises(Misconfigured):
        await recognizer.load()
    await recognizer.close()
