"""Tests of the Keras recognizer against a real server of the TF Serving API."""

import asyncio
import io
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto
from PIL import Image as Pillow

from local.tf_serving.options import ServerOptions
from marquee.v1 import recognizer_pb2 as pb
from services.keras.recognizer import KerasRecognizer
from services.keras.settings import KerasSettings
from services.runtime.errors import DependencyTimeout, InvalidImage, Misconfigured, NotReady
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Options
from tests.support.processes import PATIENCE
from tests.support.tf_serving_models import serving, write_brightness_model


def _picture(grey: int) -> Image:
    buffer = io.BytesIO()
    Pillow.new("RGB", (40, 30), (grey, grey, grey)).save(buffer, "PNG")
    return Image(buffer.getvalue())


def _options(seconds: float = 300) -> Options:
    return Options(
        "test", (pb.FEATURE_LABELS,), 10, 0.0, "", include_embeddings=False, deadline=time.monotonic() + seconds
    )


def _recognizer(base: Path, port: int, **settings: Any) -> KerasRecognizer:
    return KerasRecognizer(KerasSettings(keras_target=f"127.0.0.1:{port}", keras_assets=base, **settings))


@asynccontextmanager
async def _loaded(base: Path, *, as_content: bool = False, **settings: Any) -> AsyncIterator[KerasRecognizer]:
    async with serving(base, ServerOptions(as_content=as_content)) as port:
        recognizer = _recognizer(base, port, **settings)
        try:
            await recognizer.load()
            yield recognizer
        finally:
            await recognizer.close()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize("as_content", [False, True])
async def test_best_label(tmp_path: Path, as_content: bool) -> None:  # noqa: FBT001 - a test's parameter
    """The result has the best label with its score, model and version."""
    base = write_brightness_model(tmp_path, version=3)
    async with _loaded(base, as_content=as_content, evidence_group="sight") as recognizer:
        result = await recognizer.recognize(_picture(204), _options())
    [label] = result.labels
    assert label.name == "Bright"
    assert label.score == pytest.approx(0.8, abs=1e-6)
    assert result.model == pb.Model(name="celebrity", version="3", evidence_group="sight")
    assert result.timings.HasField("queue")


async def test_no_label_below_threshold(tmp_path: Path) -> None:
    """A best score that is not above the model's threshold gives no label, and says in words that it is unsure."""
    async with _loaded(write_brightness_model(tmp_path, threshold=0.85)) as recognizer:
        unsure = await recognizer.recognize(_picture(204), _options())
        sure = await recognizer.recognize(_picture(230), _options())
    assert (len(unsure.labels), len(sure.labels), len(sure.warnings)) == (0, 1, 0)
    assert list(unsure.warnings) == ["Unsure: no label scores above 0.85; the likeliest, Bright, has 0.80."]


async def test_legacy_float_model_of_another_size(tmp_path: Path) -> None:
    """A float32 model of another size gets values from 0 to 255 at that size."""
    base = write_brightness_model(tmp_path, dtype=TensorProto.FLOAT, shape=(None, 96, 128, 3))
    async with _loaded(base) as recognizer:
        [label] = (await recognizer.recognize(_picture(51), _options())).labels
    assert label.name == "Dark"
    assert label.score == pytest.approx(0.8, abs=1e-6)


@pytest.mark.parametrize("dtype", [TensorProto.UINT8, TensorProto.FLOAT])
async def test_grey_model(tmp_path: Path, dtype: int) -> None:
    """A model of one channel gets the picture's brightness, as `load_img(color_mode="grayscale")` has it."""
    base = write_brightness_model(tmp_path, dtype=dtype, shape=(None, 28, 28, 1))
    buffer = io.BytesIO()
    Pillow.new("RGB", (40, 30), (250, 10, 0)).save(buffer, "PNG")
    async with _loaded(base) as recognizer:
        [label] = (await recognizer.recognize(Image(buffer.getvalue()), _options())).labels
    grey = round(250 * 0.299 + 10 * 0.587)
    assert (label.name, round(label.score, 4)) == ("Dark", round(1 - grey / 255, 4))


@pytest.mark.parametrize(("fit", "score"), [("stretch", 0.5), ("crop", 1.0), ("pad", 0.25)])
async def test_fit_of_the_model(tmp_path: Path, fit: str, score: float) -> None:
    """A picture is made to fit as the model's assets say."""
    base = write_brightness_model(tmp_path, threshold=0, only=("bright",), labels=("Bright",), fit=fit)
    buffer = io.BytesIO()
    wide = Pillow.new("L", (80, 40))
    wide.paste(255, (20, 0, 60, 40))
    wide.save(buffer, "PNG")
    async with _loaded(base) as recognizer:
        [label] = (await recognizer.recognize(Image(buffer.getvalue()), _options())).labels
    assert label.score == pytest.approx(score, abs=1e-4)


async def test_several_labels(tmp_path: Path) -> None:
    """Independent sigmoids give every label above the threshold."""
    async with _loaded(write_brightness_model(tmp_path, threshold=0.3, activation="sigmoid")) as recognizer:
        labels = (await recognizer.recognize(_picture(153), _options())).labels
    assert {label.name: round(label.score, 2) for label in labels} == {"Bright": 0.6, "Dark": 0.4}


async def test_threshold_below_half(tmp_path: Path) -> None:
    """A single score for two labels is the last one's from its threshold on, also below .5."""
    base = write_brightness_model(tmp_path, threshold=0.3, only=("bright",), labels=("Dark", "Bright"))
    async with _loaded(base) as recognizer:
        results = [await recognizer.recognize(_picture(grey), _options()) for grey in (51, 102)]
    assert [[label.name for label in result.labels] for result in results] == [["Dark"], ["Bright"]]


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ({"shape": (None, 28, 28, 4)}, "for grey ones"),
        ({"shape": (None, 28, 28, 1), "dtype": TensorProto.FLOAT, "preprocessing": "caffe"}, "takes one channel"),
    ],
)
async def test_unusable_channels(tmp_path: Path, model: dict[str, Any], reason: str) -> None:
    """Loading fails for four channels, and for one that would need colours."""
    with pytest.raises(Misconfigured, match=reason):
        async with _loaded(write_brightness_model(tmp_path, **model)):
            pass


async def test_version_in_listing(tmp_path: Path) -> None:
    """The listing names the served model and version."""
    async with _loaded(write_brightness_model(tmp_path, version=12)) as recognizer:
        [model] = recognizer.describe().models
    assert (model.name, model.version) == ("celebrity", "12")


async def test_waits_for_server(tmp_path: Path) -> None:
    """Loading waits while the server is down and completes soon after it is back."""
    base, port = write_brightness_model(tmp_path), _free_port()
    recognizer = _recognizer(base, port)
    loading = asyncio.create_task(recognizer.load())
    await asyncio.sleep(0.5)
    assert not loading.done()
    async with serving(base, port=port):
        await asyncio.wait_for(loading, PATIENCE)
    await recognizer.close()


async def test_server_that_comes_back_is_used(tmp_path: Path) -> None:
    """Without the server, a call fails quickly as UNAVAILABLE; when it is back, calls succeed again."""
    base, port = write_brightness_model(tmp_path), _free_port()
    recognizer = _recognizer(base, port)
    async with serving(base, port=port):
        await recognizer.load()
    begin = time.monotonic()
    with pytest.raises(NotReady, match=f"127.0.0.1:{port} does not answer"):
        await recognizer.recognize(_picture(0), _options())
    assert time.monotonic() - begin < 20
    async with serving(base, port=port):
        await _until_answered(recognizer)
    await recognizer.close()


async def test_another_version_brings_its_labels(tmp_path: Path) -> None:
    """When the server serves a newer version, results have that version and its labels."""
    base, port = write_brightness_model(tmp_path), _free_port()
    recognizer = _recognizer(base, port)
    async with serving(base, port=port):
        await recognizer.load()
    write_brightness_model(base, version=2, labels=("Day", "Night"))
    async with serving(base, port=port):
        result = await _until_answered(recognizer)
    await recognizer.close()
    assert (result.model.version, [label.name for label in result.labels]) == ("2", ["Night"])


async def test_deadline(tmp_path: Path) -> None:
    """A call with no time left fails as a timeout of the server."""
    async with _loaded(write_brightness_model(tmp_path)) as recognizer:
        with pytest.raises(DependencyTimeout):
            await recognizer.recognize(_picture(0), _options(seconds=0))


async def test_model_that_is_no_longer_served(tmp_path: Path) -> None:
    """The error for a model that is not served names it."""
    base, port = write_brightness_model(tmp_path), _free_port()
    recognizer = _recognizer(base, port)
    async with serving(base, port=port):
        await recognizer.load()
    async with serving(base, port=port, name="other"):
        with pytest.raises(NotReady, match="does not serve the model 'celebrity'"):
            await _until_answered(recognizer)
    await recognizer.close()


@pytest.mark.parametrize("labels", [None, ("a", "b", "c")], ids=["none", "too many"])
async def test_labels_that_do_not_fit(tmp_path: Path, labels: tuple[str, ...] | None) -> None:
    """Loading fails if the labels are missing or do not fit the model's scores."""
    with pytest.raises(Misconfigured, match="labels"):
        async with _loaded(write_brightness_model(tmp_path, labels=labels)):
            pass


async def test_scores_that_are_not_numbers(tmp_path: Path) -> None:
    """NaN scores are an error of the model, not a picture without a label."""
    async with _loaded(write_brightness_model(tmp_path, scale=np.nan)) as recognizer:
        with pytest.raises(Misconfigured, match="scores are not numbers; its weights are broken"):
            await recognizer.recognize(_picture(0), _options())


async def test_scores_that_are_not_probabilities(tmp_path: Path) -> None:
    """Scores outside 0 to 1, such as those of a network without softmax, are an error of the model."""
    async with _loaded(write_brightness_model(tmp_path, scale=1)) as recognizer:
        with pytest.raises(Misconfigured, match="from -254 to 255; they must be 0 to 1"):
            await recognizer.recognize(_picture(255), _options())


async def test_broken_scores_fail_only_their_own_picture(tmp_path: Path) -> None:
    """In one Predict, only the pictures whose own scores are broken fail."""
    async with _loaded(write_brightness_model(tmp_path, scale=1 / 200), keras_at_once=1) as recognizer:
        calls = (recognizer.recognize(_picture(grey), _options()) for grey in (0, 100, 255, 150, 255, 200))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(outcome, Misconfigured) for outcome in outcomes] == [False, False, True, False, True, False]


async def test_text_as_a_picture(tmp_path: Path) -> None:
    """Bytes that are not a picture never reach the model."""
    async with _loaded(write_brightness_model(tmp_path)) as recognizer:
        with pytest.raises(InvalidImage):
            await recognizer.recognize(Image(b"not a picture"), _options())


async def _until_answered(recognizer: KerasRecognizer) -> pb.RecognizerResult:
    """Retry while the connection is being re-established."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return await recognizer.recognize(_picture(0), _options())
        except NotReady as exc:
            if "does not answer" not in exc.message or time.monotonic() > end:
                raise
            await asyncio.sleep(0.05)
