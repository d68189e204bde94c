"""Tests of several versions of a model, as TensorFlow Serving serves them: policies, labels, additions, removals."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_service_pb2_grpc

from local.tf_serving.errors import Refusal
from local.tf_serving.options import ServerOptions
from local.tf_serving.servables import Servables
from local.tf_serving.source import Source
from local.tf_serving.status import model_status
from services.keras.serving.tensors import as_content, to_array
from tests.support.tf_serving_models import model_source, serving_of, write_brightness_model

_TWO = {"specific": {"versions": [1, 2]}}


@pytest.fixture(name="base")
def _base(tmp_path: Path) -> Path:
    for version, scale in ((1, 1 / 255), (2, 0.5 / 255), (3, 0.25 / 255)):
        write_brightness_model(tmp_path / "model", version, shape=(None, 4, 4, 3), scale=scale)
    return tmp_path / "model"


@asynccontextmanager
async def _client(servables: Servables, options: ServerOptions | None = None) -> AsyncIterator[Any]:
    async with serving_of(servables, options) as port, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def _request(**spec: Any) -> Any:
    version = spec.pop("version", None)
    request = predict_pb2.PredictRequest(model_spec=model_pb2.ModelSpec(name="celebrity", **spec))
    if version is not None:
        request.model_spec.version.value = version
    request.inputs["image"].CopyFrom(as_content(np.full((1, 4, 4, 3), 255, np.uint8)))
    return request


def _states(servables: Servables) -> dict[str, str]:
    response = MessageToDict(model_status(model_pb2.ModelSpec(name="celebrity"), servables))
    return {one["version"]: one["state"] for one in response["model_version_status"]}


def _poll(base: Path, **config: Any) -> tuple[Source, Servables]:
    source, servables = model_source(base, **config)
    source.poll()
    return source, servables


@pytest.mark.parametrize(
    ("policy", "versions"),
    [(None, {3}), ({"latest": {"num_versions": 2}}, {2, 3}), ({"all": {}}, {1, 2, 3}), (_TWO, {1, 2})],
)
def test_policies(base: Path, policy: Any, versions: set[int]) -> None:
    """The newest version is served, or the versions that the policy names."""
    _, servables = _poll(base, model_version_policy=policy)
    assert set(servables.available("celebrity")) == versions


async def test_version_by_number_and_label(base: Path) -> None:
    """A call may name a version or a label; by default the newest version answers."""
    source, servables = _poll(base, model_version_policy=_TWO, version_labels={"stable": 1, "canary": 2})
    source.label(allow_unavailable=False)
    async with _client(servables) as stub:
        answers = [await stub.Predict(_request(**spec)) for spec in ({}, {"version": 1}, {"version_label": "stable"})]
    assert [answer.model_spec.version.value for answer in answers] == [2, 1, 1]
    assert [round(float(to_array(answer.outputs["scores"])[0, 0]), 3) for answer in answers] == [0.5, 1, 1]


def test_label_of_a_version_that_is_not_served(base: Path) -> None:
    """A label for an unserved version is refused unless labels for unavailable versions are allowed."""
    source, servables = _poll(base, version_labels={"stable": 1})
    with pytest.raises(Refusal, match="Request to assign label to version 1 of model celebrity, which is not current"):
        source.label(allow_unavailable=False)
    source.label(allow_unavailable=True)
    with pytest.raises(Refusal, match=r"Servable not found for request: Specific\(celebrity, 1\)"):
        servables.find(model_pb2.ModelSpec(name="celebrity", version_label="stable"))


def test_new_version_replaces_the_old(base: Path) -> None:
    """A new version is loaded, and its predecessor goes to END but is still listed."""
    shutil.rmtree(base / "3")
    source, servables = _poll(base)
    assert _states(servables) == {"2": "AVAILABLE"}
    write_brightness_model(base, 4, shape=(None, 4, 4, 3))
    source.poll()
    assert _states(servables) == {"2": "END", "4": "AVAILABLE"}


def test_broken_version_leaves_the_old_in_service(base: Path) -> None:
    """A version that cannot be loaded ends with an error, and its predecessor stays in service."""
    source, servables = _poll(base)
    (base / "4").mkdir()
    (base / "4" / "model.onnx").write_bytes(b"no model")
    source.poll()
    assert _states(servables) == {"3": "AVAILABLE", "4": "END"}
    status = model_status(model_pb2.ModelSpec(name="celebrity"), servables).model_version_status[1].status
    assert "model.onnx cannot be loaded" in status.error_message
    assert status.error_code


def test_version_that_returns(base: Path) -> None:
    """With all versions gone, no call succeeds; a version that returns is served again."""
    source, servables = _poll(base)
    base.rename(base.with_name("away"))
    base.mkdir()
    source.poll()
    assert _states(servables) == {"3": "END"}
    with pytest.raises(Refusal, match=r"Servable not found for request: Latest\(celebrity\)"):
        servables.find(model_pb2.ModelSpec(name="celebrity"))
    shutil.copytree(base.with_name("away") / "3", base / "3")
    source.poll()
    assert _states(servables) == {"3": "AVAILABLE"}


def test_missing_base_path(base: Path) -> None:
    """A base path that is missing for a while takes no version out of service."""
    source, servables = _poll(base)
    base.rename(base.with_name("away"))
    with pytest.raises(FileNotFoundError, match="Could not find base path"):
        source.poll()
    assert _states(servables) == {"3": "AVAILABLE"}


async def test_injected_errors_and_latency(base: Path) -> None:
    """Faults are injected into the configured share of Predict calls, but not into GetModelMetadata."""
    _, servables = _poll(base)
    options = ServerOptions()
    options.faults.code, options.faults.share = grpc.StatusCode.UNAVAILABLE, 0.5
    outcomes = []
    async with _client(servables, options) as stub:
        for _ in range(40):
            try:
                await stub.Predict(_request())
                outcomes.append(grpc.StatusCode.OK)
            except grpc.aio.AioRpcError as exc:
                outcomes.append(exc.code())
        options.faults.code, options.faults.seconds = None, 300
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Predict(_request(), timeout=0.1)
    assert set(outcomes) == {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
    assert 10 < outcomes.count(grpc.StatusCode.OK) < 30
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
