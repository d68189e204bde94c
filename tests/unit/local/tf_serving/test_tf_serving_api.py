"""Tests that the stand-in accepts and refuses the same requests as TensorFlow Serving."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2, predict_pb2, prediction_service_pb2_grpc

from local.tf_serving.messages.model_service_pb2 import (
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelVersionStatus,
)
from local.tf_serving.options import ServerOptions
from services.keras.serving.tensors import as_content, as_values, to_array
from tests.support.tf_serving_models import serving, write_brightness_model

_SIZE_MISMATCH = (
    "input size does not match signature: 0!=1 len({}) != len({image}). Sent extra: {}. Missing but required: {image}."
)
_NO_SUCH_INPUT = (
    "Signature input alias: image(feed name: serving_default_image:0) not found in request and no default "
    "value provided. Inputs expected to be in the request {picture}, or default input alias set: "
)
_PIXELS = as_content(np.full((2, 4, 4, 3), 51, np.uint8))


@pytest.fixture(name="channel")
async def _channel(tmp_path: Path) -> AsyncIterator[grpc.aio.Channel]:
    for version in (2, 10):
        write_brightness_model(tmp_path, version, shape=(None, 4, 4, 3))
    async with serving(tmp_path) as port, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel


@pytest.fixture(name="stub")
async def _stub(channel: grpc.aio.Channel) -> Any:
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def _spec(name: str = "celebrity", **rest: Any) -> Any:
    version = rest.pop("version", None)
    spec = model_pb2.ModelSpec(name=name, **rest)
    if version is not None:
        spec.version.value = version
    return spec


def _request(inputs: Any = None, spec: Any = None, **rest: Any) -> Any:
    inputs = {"image": _PIXELS} if inputs is None else inputs
    return predict_pb2.PredictRequest(model_spec=spec or _spec(), inputs=inputs, **rest)


async def _status(channel: grpc.aio.Channel, spec: Any) -> Any:
    call = channel.unary_unary(
        "/tensorflow.serving.ModelService/GetModelStatus",
        request_serializer=GetModelStatusRequest.SerializeToString,
        response_deserializer=GetModelStatusResponse.FromString,
    )
    return await call(GetModelStatusRequest(model_spec=spec))


async def test_predict(stub: Any) -> None:
    """Predict runs the newest version on the batch and names the model, version and signature."""
    answer = await stub.Predict(_request())
    assert answer.model_spec == _spec(version=10, signature_name="serving_default")
    assert list(answer.outputs) == ["scores"]
    assert to_array(answer.outputs["scores"]) == pytest.approx(np.array([[0.2, 0.8]] * 2), abs=1e-6)


async def test_values_by_default(stub: Any) -> None:
    """Scores are in float_val, as TensorFlow Serving writes them by default."""
    scores = (await stub.Predict(_request())).outputs["scores"]
    assert len(scores.float_val) == 4
    assert not scores.tensor_content


async def test_content_when_enabled(tmp_path: Path) -> None:
    """With tensor content enabled, scores are in tensor_content."""
    base = write_brightness_model(tmp_path / "model", shape=(None, 4, 4, 3))
    options = ServerOptions(as_content=True)
    async with serving(base, options) as port, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        scores = (await stub.Predict(_request())).outputs["scores"]
    assert scores.tensor_content
    assert to_array(scores).shape == (2, 2)


async def test_inputs_as_values(stub: Any) -> None:
    """A picture may also be sent as int_val."""
    request = _request({"image": as_values(np.full((1, 4, 4, 3), 255, np.uint8))})
    assert to_array((await stub.Predict(request)).outputs["scores"])[0, 0] == pytest.approx(1)


async def test_metadata(stub: Any) -> None:
    """The signature has names, types and shapes, and its batch size is open."""
    request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=_spec(), metadata_field=["signature_def"])
    answer = await stub.GetModelMetadata(request)
    packed = answer.metadata["signature_def"]
    assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    signatures = get_model_metadata_pb2.SignatureDefMap()
    packed.Unpack(signatures)
    image = signatures.signature_def["serving_default"].inputs["image"]
    assert image.dtype == types_pb2.DT_UINT8
    assert [dimension.size for dimension in image.tensor_shape.dim] == [-1, 4, 4, 3]
    assert answer.model_spec == _spec(version=10)


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (_request(spec=_spec("other")), "NOT_FOUND", "Servable not found for request: Latest(other)"),
        (_request(spec=_spec(version=7)), "NOT_FOUND", "Servable not found for request: Specific(celebrity, 7)"),
        (
            _request(spec=_spec(version_label="canary")),
            "INVALID_ARGUMENT",
            "Unrecognized servable version label: canary",
        ),
        (_request(spec=_spec("")), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (
            _request(spec=_spec(signature_name="train")),
            "FAILED_PRECONDITION",
            'Serving signature key "train" not found.',
        ),
        (
            _request({}),
            "INVALID_ARGUMENT",
            _SIZE_MISMATCH,
        ),
        (
            _request({"picture": _PIXELS}),
            "INVALID_ARGUMENT",
            _NO_SUCH_INPUT,
        ),
        (
            _request(output_filter=["logits"]),
            "INVALID_ARGUMENT",
            "output tensor alias not found in signature: logits Outputs expected to be in the set {scores}.",
        ),
        (
            _request({"image": as_content(np.zeros((1, 4, 4, 3), np.float32))}),
            "INVALID_ARGUMENT",
            "Expects arg[0] to be uint8 but float is provided",
        ),
    ],
)
async def test_refused_predict(stub: Any, request_: Any, code: str, text: str) -> None:
    """A request that cannot be served is refused with TensorFlow Serving's code and text."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Predict(request_)
    assert (caught.value.code().name, caught.value.details()) == (code, text)


async def test_wrong_shape(stub: Any) -> None:
    """A picture of another size gets INVALID_ARGUMENT, and the next call succeeds."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Predict(_request({"image": as_content(np.zeros((1, 5, 4, 3), np.uint8))}))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (await stub.Predict(_request())).outputs


@pytest.mark.parametrize("fields", [[], ["weights"]])
async def test_refused_metadata(stub: Any, fields: list[str]) -> None:
    """The only supported metadata field is signature_def, and it must be requested."""
    request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=_spec(), metadata_field=fields)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetModelMetadata(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_status(channel: grpc.aio.Channel) -> None:
    """The served version has state AVAILABLE."""
    [status] = (await _status(channel, _spec())).model_version_status
    assert (status.version, status.state) == (10, ModelVersionStatus.AVAILABLE)
    assert status.status.error_code == 0


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (_spec("other"), "Could not find any versions of model other"),
        (_spec(version=2), "Could not find version 2 of model celebrity"),
    ],
)
async def test_status_of_an_unserved_model(channel: grpc.aio.Channel, spec: Any, text: str) -> None:
    """A model or version that is not served gets NOT_FOUND."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _status(channel, spec)
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.NOT_FOUND, text)


@pytest.mark.parametrize("service", ["", "ModelService", "PredictionService"])
async def test_health(channel: grpc.aio.Channel, service: str) -> None:
    """The health check answers for each of TensorFlow Serving's service names."""
    request = health_pb2.HealthCheckRequest(service=service)
    answer = await health_pb2_grpc.HealthStub(channel).Check(request)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
