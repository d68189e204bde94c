"""Tests that the stand-in runs SavedModels if TensorFlow is installed, and otherwise says what it needs."""

import signal
import subprocess
import sysconfig
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2, predict_pb2, prediction_service_pb2_grpc

from local.tf_serving.source import logger
from services.keras.serving.tensors import as_content, to_array
from tests.support.processes import PATIENCE, ROOT, free_port, run, spawn, train_python
from tests.support.tf_serving_models import model_source

pytestmark = pytest.mark.slow

_EXPORT = """
import sys, tensorflow as tf
class Brightness(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 4, 4, 3], tf.uint8, name="image")])
    def scores(self, image):
        bright = tf.reduce_mean(tf.cast(image, tf.float32), axis=[1, 2, 3])[:, None] / 255
        return {"scores": tf.concat([bright, 1 - bright], 1)}
model = Brightness()
tf.saved_model.save(model, sys.argv[1], signatures={"serving_default": model.scores})
"""
_SERVE = """
import runpy, sys
sys.path.append(sys.argv[1])  # after TensorFlow's own, for gRPC, TensorFlow Serving's messages and starlette
sys.argv = ["local.tf_serving", *sys.argv[2:]]
runpy.run_module("local.tf_serving", run_name="__main__", alter_sys=True)
"""
_SPEC = model_pb2.ModelSpec(name="celebrity")


@pytest.fixture(scope="module", name="base")
def _base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("saved")
    command = [train_python(), "-c", textwrap.dedent(_EXPORT), str(base / "3")]
    run(command).check_returncode()
    return base


@pytest.fixture(scope="module", name="stub")
def _stub(base: Path) -> Iterator[Any]:
    port = free_port()
    flags = (f"--model_base_path={base}", "--model_name=celebrity", f"--port={port}")
    command = [train_python(), "-c", textwrap.dedent(_SERVE), sysconfig.get_path("purelib"), *flags]
    with spawn(command, env={"PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL) as process:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=PATIENCE)
            yield prediction_service_pb2_grpc.PredictionServiceStub(channel)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def _request(array: np.ndarray) -> Any:
    return predict_pb2.PredictRequest(model_spec=_SPEC, inputs={"image": as_content(array)})


def test_predict(stub: Any) -> None:
    """Predict returns the SavedModel's scores with its version."""
    answer = stub.Predict(_request(np.full((2, 4, 4, 3), 51, np.uint8)))
    assert answer.model_spec.version.value == 3
    assert to_array(answer.outputs["scores"]) == pytest.approx(np.array([[0.2, 0.8]] * 2), abs=1e-6)


def test_metadata(stub: Any) -> None:
    """GetModelMetadata returns the SavedModel's own signatures."""
    request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=_SPEC, metadata_field=["signature_def"])
    signatures = get_model_metadata_pb2.SignatureDefMap()
    stub.GetModelMetadata(request).metadata["signature_def"].Unpack(signatures)
    assert signatures.signature_def["serving_default"].inputs["image"].name == "serving_default_image:0"


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.zeros((1, 4, 4, 3), np.float32), "Expects arg[0] to be uint8 but float is provided"),
        (np.zeros((1, 5, 4, 3), np.uint8), "shape (1, 5, 4, 3)"),
    ],
)
def test_wrong_inputs(stub: Any, array: np.ndarray, text: str) -> None:
    """A wrong type or shape gets INVALID_ARGUMENT, as with an ONNX copy."""
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(_request(array))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert text in caught.value.details()


def test_without_tensorflow(base: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without TensorFlow, the error for a SavedModel without an ONNX copy says what it needs."""
    source, servables = model_source(base)
    with caplog.at_level("ERROR", logger.name):
        source.poll()
    assert not servables.available("celebrity")
    assert "it needs TensorFlow, or a copy in model.onnx" in caplog.text
