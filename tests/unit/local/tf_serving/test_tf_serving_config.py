"""Tests of the configs that the stand-in takes and refuses, as TensorFlow Serving does, and of moving labels."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import model_pb2

from local.tf_serving.batching import check_parameters
from local.tf_serving.errors import Refusal
from local.tf_serving.messages.config_pb2 import BatchingParameters, ModelServerConfig
from local.tf_serving.messages.model_service_pb2 import ReloadConfigRequest
from local.tf_serving.messages.model_service_pb2_grpc import ModelServiceStub
from local.tf_serving.options import ServerOptions
from local.tf_serving.servables import Servables
from local.tf_serving.source import Source
from local.tf_serving.status import ModelService
from tests.support.tf_serving_models import serving_of, write_brightness_model

_ALL = "model_version_policy { all {} }"


@pytest.fixture(name="base")
def _base(tmp_path: Path) -> Path:
    for version in (1, 2):
        write_brightness_model(tmp_path / "model", version, shape=(None, 4, 4, 3))
    return tmp_path / "model"


def _config(base: Path | str, more: str = "", name: str = "m", platform: str = "tensorflow") -> ModelServerConfig:
    text = (
        f"model_config_list {{ config {{ name: '{name}' base_path: '{base}' model_platform: '{platform}' {more} }} }}"
    )
    return text_format.Parse(text, ModelServerConfig())


def _labels(**labels: int) -> str:
    return " ".join(f"version_labels {{ key: '{label}' value: {version} }}" for label, version in labels.items())


def _loaded(config: ModelServerConfig, *, allow_unavailable: bool = False) -> tuple[Source, Servables]:
    servables = Servables()
    source = Source(ModelServerConfig(), servables, threads=1)
    source.accept(config, allow_unavailable=allow_unavailable)
    source.poll()
    return source, servables


@contextmanager
def _refused(text: str) -> Iterator[None]:
    with pytest.raises(Refusal) as caught:
        yield
    assert text in caught.value.text


@pytest.mark.parametrize("version", [1, 2, 9])
def test_a_label_is_refused_at_the_start(base: Path, version: int) -> None:
    """Labels are assigned before anything is loaded: without the flag the server exits, whichever version is named."""
    with _refused(f"Request to assign label to version {version} of model m, which is not currently available"):
        _loaded(_config(base, _ALL + _labels(stable=version)))


def test_a_label_is_taken_with_the_flag(base: Path) -> None:
    """With the flag a label names its version as soon as that is loaded, and until then nothing."""
    _, servables = _loaded(_config(base, _ALL + _labels(stable=1, later=9)), allow_unavailable=True)
    assert servables.find(_spec("stable"))[0] == 1
    with _refused("Servable not found for request: Specific(m, 9)"):
        servables.find(_spec("later"))


@pytest.mark.parametrize("allow", [False, True])
def test_a_label_moves_only_to_what_is_available(base: Path, *, allow: bool) -> None:
    """A label moves to an available version; to another it is refused, even with the flag, and all stay as they are."""
    source, servables = _loaded(_config(base, _ALL))
    source.accept(_config(base, _ALL + _labels(stable=1)), allow_unavailable=allow)
    source.accept(_config(base, _ALL + _labels(stable=2)), allow_unavailable=allow)
    assert servables.find(_spec("stable"))[0] == 2
    with _refused("Request to assign label to version 3 of model m"):
        source.accept(_config(base, _ALL + _labels(stable=3, other=1)), allow_unavailable=allow)
    assert servables.find(_spec("stable"))[0] == 2
    with _refused("Unrecognized servable version label: other"):
        servables.find(_spec("other"))


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (_config("/models", platform=""), "Illegal setting neither ModelServerConfig::model_type (deprecated)"),
        (_config("/models", platform="pytorch"), "Model m requests unsupported platform pytorch"),
        (_config("models"), "Expected model m to have an absolute path or URI; got base_path()=models"),
        (_config(""), "Expected model m to have an absolute path or URI; got base_path()="),
        (_config("./models"), "Expected model m to have an absolute path or URI"),
    ],
)
def test_a_config_that_is_refused(config: ModelServerConfig, text: str) -> None:
    """A platform that is missing or unknown, and a path that is not absolute, have TensorFlow Serving's words."""
    with _refused(text):
        _loaded(config)


def test_a_model_that_comes_twice_is_refused() -> None:
    """No two models share a name."""
    config = _config("/a")
    config.MergeFrom(_config("/b"))
    with _refused("Illegal to list model m multiple times in config list"):
        _loaded(config)


def test_a_model_keeps_its_platform(base: Path) -> None:
    """A later config with another platform is refused, and the model stays in service."""
    source, servables = _loaded(_config(base))
    with _refused("Illegal to change a model's platform. For model m platform was tensorflow and new platform"):
        source.accept(_config(base, platform="pytorch"), allow_unavailable=False)
    assert set(servables.available("m")) == {2}


def test_an_empty_config_is_taken() -> None:
    """A file without a list of models starts a server without models."""
    source, _ = _loaded(ModelServerConfig())
    assert source.is_complete


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: 4",
            "last entry was 4; expected 8",
        ),
        ("allowed_batch_sizes: 4", "last entry was 4; expected 1000"),
        ("max_batch_size { value: 2 } allowed_batch_sizes: [2, 2]", "entries must be monotonically increasing"),
        ("max_batch_size { value: 4 } allowed_batch_sizes: [8, 4]", "entries must be monotonically increasing"),
        ("num_batch_threads { value: 0 }", "num_batch_threads must be positive; was 0"),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_micros must be non-negative; was -1"),
    ],
)
def test_batching_that_is_refused(parameters: str, text: str) -> None:
    """Parameters with which no model would load are refused before any is."""
    with _refused(text):
        check_parameters(text_format.Parse(parameters, BatchingParameters()))


async def test_a_reload_adds_and_removes_models(base: Path) -> None:
    """A reload returns once new models are available; models that it does not name are served no more."""
    source, servables = _loaded(_config(base))
    models = ModelService(servables, source, ServerOptions())
    await models.reload(_config(base, name="other"))
    assert (set(servables.available("m")), set(servables.available("other"))) == (set(), {2})


async def test_a_reload_that_fails_says_why(base: Path, tmp_path: Path) -> None:
    """A new model that cannot be loaded, and a path that does not exist, are errors; what was served stays."""
    source, servables = _loaded(_config(base))
    models = ModelService(servables, source, ServerOptions())
    (tmp_path / "broken" / "1").mkdir(parents=True)
    config = _config(base)
    config.MergeFrom(_config(tmp_path / "broken", name="broken"))
    with _refused("1 model(s) did not become available: {{name: broken version: 1} due to error:"):
        await models.reload(config)
    with _refused("Could not find base path /missing for servable m"):
        await models.reload(_config("/missing"))
    assert set(servables.available("m")) == {2}


async def test_a_reload_needs_a_list() -> None:
    """Only a list of models can be reloaded."""
    async with serving_of(Servables()) as port, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ModelServiceStub(channel).HandleReloadConfigRequest(ReloadConfigRequest())
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "Only ModelConfigList is currently supported" in (caught.value.details() or "")


def _spec(label: str) -> Any:
    return model_pb2.ModelSpec(name="m", version_label=label)
