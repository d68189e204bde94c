"""Tests of the stand-in's messages alongside those of tensorflow-serving-api, with and without TensorFlow."""

import sys
import sysconfig
from pathlib import Path

import pytest

from tests.support.processes import ROOT, run, train_python

_IMPORT = """
import sys
sys.path.append(sys.argv[1])
from importlib.util import find_spec
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2, predict_pb2
from tensorflow_serving.apis import prediction_service_pb2, prediction_service_pb2_grpc
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
has_tensorflow = find_spec("tensorflow.python") is not None
if has_tensorflow:  # as the converter does
    from tensorflow_serving.apis import prediction_log_pb2
from local.tf_serving import server
from local.tf_serving.messages import config_pb2, model_service_pb2
request = model_service_pb2.GetModelStatusRequest(model_spec=model_pb2.ModelSpec(name="celebrity"))
batching = config_pb2.BatchingParameters(allowed_batch_sizes=[1, 2])
assert model_service_pb2.GetModelStatusRequest.FromString(request.SerializeToString()) == request
print(has_tensorflow, request.DESCRIPTOR.full_name, batching.DESCRIPTOR.full_name)
"""
_NAMES = "tensorflow.serving.GetModelStatusRequest tensorflow.serving.BatchingParameters"


@pytest.mark.slow
@pytest.mark.parametrize("tensorflow", [False, True])
def test_messages_do_not_clash(tensorflow: bool) -> None:  # noqa: FBT001 - a test's parameter
    """No name clashes with what the server, adapter and converter import, with or without TensorFlow installed."""
    python = train_python() if tensorflow else Path(sys.executable)
    command = [python, "-c", _IMPORT, sysconfig.get_path("purelib")]
    done = run(command, env={"PYTHONPATH": str(ROOT)})
    assert done.stdout.strip() == f"{tensorflow} {_NAMES}"
