"""Tests that the Keras recognizer follows the versions that TensorFlow Serving serves."""

import asyncio
import io
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from onnx import TensorProto
from PIL import Image as Pillow

from local.tf_serving.options import ServerOptions
from local.tf_serving.source import Source
from marquee.v1 import recognizer_pb2 as pb
from services.keras.recognizer import KerasRecognizer
from services.keras.settings import KerasSettings
from services.runtime.errors import DependencyUnavailable, Misconfigured, NotReady, Overloaded
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Options
from tests.support.processes import PATIENCE
from tests.support.tf_serving_models import model_source, serving_of, write_brightness_model

_READY = pb.RECOGNIZER_STATE_UNSPECIFIED  # set later by the leaf server
_UNAVAILABLE = pb.RECOGNIZER_STATE_UNAVAILABLE


@asynccontextmanager
async def _following(
    base: Path, options: ServerOptions | None = None, config: Any = None, **settings: Any
) -> AsyncIterator[tuple[KerasRecognizer, Source]]:
    """Yield a recognizer that polls often, and the server's source, which a test polls to publish a change."""
    source, servables = model_source(base, **(config or {}))
    source.poll()
    source.label(allow_unavailable=False)
    async with serving_of(servables, options) as port:
        own = {"keras_target": f"127.0.0.1:{port}", "keras_assets": base, "keras_poll_seconds": 0.05} | settings
        recognizer = KerasRecognizer(KerasSettings(**own))
        try:
            await recognizer.load()
            yield recognizer, source
        finally:
            await recognizer.close()


async def _recognize(recognizer: KerasRecognizer, grey: int = 204) -> pb.RecognizerResult:
    buffer = io.BytesIO()
    Pillow.new("RGB", (40, 30), (grey, grey, grey)).save(buffer, "PNG")
    options = Options("t", (pb.FEATURE_LABELS,), 10, 0.0, "", include_embeddings=False, deadline=time.monotonic() + 600)
    return await recognizer.recognize(Image(buffer.getvalue()), options)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - set by the recognizer's polling
            await asyncio.sleep(0.02)


def _version(recognizer: KerasRecognizer) -> str:
    return recognizer.describe().models[0].version


async def test_newer_version_is_noticed_without_a_call(tmp_path: Path) -> None:
    """A newer version is listed soon after the server has it."""
    async with _following(write_brightness_model(tmp_path)) as (recognizer, source):
        write_brightness_model(tmp_path, 2)
        source.poll()
        await _until(lambda: _version(recognizer) == "2")


async def test_version_of_another_shape_and_kind(tmp_path: Path) -> None:
    """A call whose version is gone uses the new one, with its type, size, labels and kind."""
    async with _following(write_brightness_model(tmp_path), keras_poll_seconds=60) as (recognizer, source):
        assert recognizer.features == (pb.FEATURE_LABELS,)
        names = ("Ann_Lee", "Bo")
        write_brightness_model(
            tmp_path, 2, dtype=TensorProto.FLOAT, shape=(None, 96, 64, 3), labels=names, kind="identity"
        )
        source.poll()
        result = await _recognize(recognizer)
        assert recognizer.features == (pb.FEATURE_CELEBRITIES,)
    assert result.model.version == "2"
    [candidate] = result.image_candidates
    assert (candidate.person_id, candidate.display_name) == ("ann-lee", "Ann Lee")


async def test_calls_during_a_change(tmp_path: Path) -> None:
    """While versions change, no call fails and none gets another version's labels."""
    async with _following(write_brightness_model(tmp_path, labels=("Bright1", "Dark1"))) as (recognizer, source):
        results: list[pb.RecognizerResult] = []

        async def caller() -> None:
            while len(results) < 200:
                results.append(await _recognize(recognizer))

        callers = [asyncio.create_task(caller()) for _ in range(4)]
        for version in (2, 3):
            await _until(lambda: len(results) >= 60 * (version - 1))  # noqa: B023 - awaited immediately
            write_brightness_model(tmp_path, version, labels=(f"Bright{version}", f"Dark{version}"))
            await asyncio.to_thread(source.poll)
        await asyncio.gather(*callers)
    assert {(result.model.version, result.labels[0].name) for result in results} == {
        (version, f"Bright{version}") for version in ("1", "2", "3")
    }


async def test_version_by_label(tmp_path: Path) -> None:
    """With a label set, the version with that label is used, even if a newer one is served."""
    for version in (1, 2):
        write_brightness_model(tmp_path, version)
    config = {"model_version_policy": {"all": {}}, "version_labels": {"stable": 1}}
    async with _following(tmp_path, config=config, keras_version_label="stable") as (recognizer, _):
        assert (await _recognize(recognizer)).model.version == "1"


async def test_labels_that_do_not_fit_the_newer_version(tmp_path: Path) -> None:
    """A newer version without fitting labels is not used while the old one is served; later, errors say why."""
    config = {"model_version_policy": {"latest": {"num_versions": 2}}}
    async with _following(write_brightness_model(tmp_path), config=config) as (recognizer, source):
        write_brightness_model(tmp_path, 2, labels=("a", "b", "c"))
        source.poll()
        await asyncio.sleep(0.2)
        assert (await _recognize(recognizer)).model.version == "1"
        assert recognizer.describe().state == _READY
        shutil.rmtree(tmp_path / "1")
        source.poll()
        with pytest.raises(Misconfigured, match=r"Version 2 of the Keras model gives 2 scores, but .* names 3 labels"):
            await _recognize(recognizer)
        assert recognizer.describe().state == _UNAVAILABLE
        (tmp_path / "2" / "assets" / "marquee.json").write_text('{"labels": ["a", "b"]}')
        await _until(lambda: recognizer.describe().state == _READY)
        assert (await _recognize(recognizer)).labels[0].name == "a"


async def test_model_that_disappears_and_returns(tmp_path: Path) -> None:
    """Without the model, the recognizer is not ready and says why; it recovers when the model is back."""
    base = tmp_path / "model"
    async with _following(write_brightness_model(base)) as (recognizer, source):
        (base / "1").rename(tmp_path / "away")
        source.poll()
        with pytest.raises(NotReady, match=r"does not serve the model 'celebrity' now: Servable not found"):
            await _recognize(recognizer)
        described = recognizer.describe()
        assert described.state == _UNAVAILABLE
        assert "Servable not found" in described.status.message
        (tmp_path / "away").rename(base / "1")
        source.poll()
        await _until(lambda: recognizer.describe().state == _READY)
        assert (await _recognize(recognizer)).labels


@pytest.mark.parametrize(
    ("code", "error", "text"),
    [
        (grpc.StatusCode.INTERNAL, DependencyUnavailable, r"failed \(INTERNAL\)"),
        (grpc.StatusCode.UNAVAILABLE, NotReady, "does not answer"),
        (grpc.StatusCode.INVALID_ARGUMENT, Misconfigured, "INVALID_ARGUMENT: injected"),
    ],
)
async def test_errors_of_the_server(tmp_path: Path, code: grpc.StatusCode, error: type[Exception], text: str) -> None:
    """The server's status becomes an error that names it, and the next call is unaffected."""
    options = ServerOptions()
    async with _following(write_brightness_model(tmp_path), options) as (recognizer, _):
        options.faults.code = code
        with pytest.raises(error, match=text):
            await _recognize(recognizer)
        options.faults.code = None
        assert (await _recognize(recognizer)).labels


async def test_server_with_a_full_queue(tmp_path: Path) -> None:
    """A server with a full queue is not considered unavailable."""
    options = ServerOptions()
    async with _following(write_brightness_model(tmp_path), options) as (recognizer, _):
        options.faults.code = grpc.StatusCode.UNAVAILABLE
        options.faults.text = "The batch scheduling queue to which this task was submitted is full; currently 10 …"
        with pytest.raises(Overloaded, match=r"has a full queue\. Try again later\."):
            await _recognize(recognizer)
        assert recognizer.describe().state == _READY
