"""Tests of `python -m local.tf_serving` as a process."""

import signal
import socket
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from local.tf_serving.messages.config_pb2 import ModelServerConfig
from local.tf_serving.messages.model_service_pb2 import ReloadConfigRequest
from local.tf_serving.messages.model_service_pb2_grpc import ModelServiceStub
from services.runtime.storage import files
from tests.support.processes import PATIENCE, free_port, run, spawn, wait_until
from tests.support.tf_serving_models import write_brightness_model

pytestmark = pytest.mark.slow

_COMMAND = [sys.executable, "-m", "local.tf_serving"]


def _start(base: Path, port: int, *more: str) -> AbstractContextManager[subprocess.Popen[str]]:
    command = [*_COMMAND, f"--model_base_path={base}", f"--port={port}", *more]
    return spawn(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def _refusal(*arguments: str) -> str:
    """Run the server with arguments that it refuses; return its standard error."""
    result = run([*_COMMAND, *arguments])
    assert result.returncode == 2
    return result.stderr


def test_reflection_and_graceful_stop(tmp_path: Path) -> None:
    """Reflection lists both services, SIGTERM makes the process exit 0, and standard output stays empty."""
    port = free_port()
    with _start(write_brightness_model(tmp_path), port) as process:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=PATIENCE)
            services = _services(channel)
            prediction = _methods(channel, "tensorflow.serving.PredictionService")
            status = _methods(channel, "tensorflow.serving.ModelService")
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=PATIENCE)
    assert {"tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"} <= services
    assert {"Predict", "GetModelMetadata"} <= prediction
    assert status == {"GetModelStatus", "HandleReloadConfigRequest"}
    assert (process.returncode, output) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--model_base_path=/missing"], "Could not find base path /missing for servable default\n"),
        ([], "model_base_path and server_options.model_config_file are empty!"),
        (["--model_base_path=/", "--batching_parameters_file=x"], "is set without setting enable_batching"),
        (["--model_base_path=/", "--inject_error=BROKEN"], "'BROKEN' is not CODE or CODE:SHARE"),
        (["--model_config_file=/missing"], "No such file or directory: '/missing'"),
        (["--model_base_path=models"], "to have an absolute path or URI; got base_path()=models"),
        (["--model_base_path=/", "--port=0"], "At least one of server_options.grpc_port"),
    ],
)
def test_refused_command_line(arguments: list[str], text: str) -> None:
    """An invalid command line exits 2 with a message that says why."""
    error = _refusal(*arguments)
    assert text in error


def test_broken_files(tmp_path: Path) -> None:
    """An unreadable model or file exits 2 with its name in the message."""
    (tmp_path / "1").mkdir()
    error = _refusal(f"--model_base_path={tmp_path}", f"--port={free_port()}")
    assert f"{tmp_path}/1 cannot be served: it has neither saved_model.pb nor model.onnx" in error
    (tmp_path / "1" / "model.onnx").write_bytes(b"no model")
    error = _refusal(f"--model_base_path={tmp_path}", f"--port={free_port()}")
    assert f"Error: {tmp_path}/1/model.onnx cannot be loaded" in error
    (tmp_path / "config").write_text("model_config_list { config { name: 'a' path: 'b' } }")
    error = _refusal(f"--model_config_file={tmp_path / 'config'}")
    assert 'has no field named "path"' in error


def test_waits_for_a_version(tmp_path: Path) -> None:
    """Until an empty folder has a version, the port stays closed, as with TensorFlow Serving."""
    port = free_port()
    (tmp_path / "model").mkdir()
    with _start(tmp_path / "model", port, "--file_system_poll_wait_seconds=0.1") as process:
        with pytest.raises(grpc.FutureTimeoutError), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=2)
        write_brightness_model(tmp_path / "fresh")
        (tmp_path / "fresh/1").rename(tmp_path / "model/1")
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=PATIENCE)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=PATIENCE)[0] == ""


def test_moving_a_label(tmp_path: Path) -> None:
    """A label is refused at the start without the flag; with it, edits of the config's file and calls move it.

    Until the version is there, REST answers 404; a move to a version that is not there changes nothing.
    """
    base, file, port, rest = (
        write_brightness_model(tmp_path / "model"),
        tmp_path / "models.config",
        free_port(),
        free_port(),
    )
    write_brightness_model(base, 2)
    (tmp_path / "monitoring").write_text("prometheus_config { enable: true }")
    _write_config(file, base, stable=1)
    arguments = [f"--model_config_file={file}", f"--port={port}", f"--rest_api_port={rest}"]
    assert "Request to assign label to version 1 of model celebrity, which is not" in _refusal(*arguments)
    flags = (
        *("--allow_version_labels_for_unavailable_models", "--model_config_file_poll_wait_seconds=0.1"),
        *(f"--monitoring_config_file={tmp_path / 'monitoring'}", "--num_load_threads=4", "--enable_batching"),
    )
    with spawn([*_COMMAND, *arguments, *flags], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True):
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=PATIENCE)
            url = f"http://127.0.0.1:{rest}"
            assert _label(url, "stable") == 1
            _write_config(file, base, stable=2)
            wait_until(lambda: _label(url, "stable") == 2)
            stub = ModelServiceStub(channel)
            with pytest.raises(grpc.RpcError) as caught:
                stub.HandleReloadConfigRequest(ReloadConfigRequest(config=_config(base, stable=3)))
            assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
            assert _label(url, "stable") == 2
        picture = [[[255] * 3] * 224] * 224
        answer = requests.post(f"{url}/v1/models/celebrity:predict", json={"instances": [picture] * 2}, timeout=60)
        assert answer.json() == {"predictions": [[1.0, 0.0]] * 2}
        metrics = requests.get(f"{url}/monitoring/prometheus/metrics", timeout=60).text
    assert ':tensorflow:serving:request_count{model_name="celebrity",status="OK"} ' in metrics
    assert (
        ':tensorflow:serving:request_latency_count{model_name="celebrity",API="predict",entrypoint="REST"} 1' in metrics
    )
    assert ":tensorflow:core:graph_runs{} 1" in metrics
    assert ':tensorflow:serving:batching_session:processed_batch_size_bucket{le="2"} 1' in metrics


def _config(base: Path, **labels: int) -> ModelServerConfig:
    config = ModelServerConfig()
    model = config.model_config_list.config.add(name="celebrity", base_path=str(base), model_platform="tensorflow")
    model.model_version_policy.all.SetInParent()
    model.version_labels.update(labels)
    return config


def _write_config(file: Path, base: Path, **labels: int) -> None:
    files.write(file, text_format.MessageToString(_config(base, **labels)))


def _label(url: str, label: str) -> int:
    """Return the version that the label names."""
    answer = requests.get(f"{url}/v1/models/celebrity/labels/{label}/metadata", timeout=60)
    return int(answer.json()["model_spec"]["version"])


def test_port_in_use(tmp_path: Path) -> None:
    """A port in use makes the process exit 2; the port is not shared."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        error = _refusal(f"--model_base_path={write_brightness_model(tmp_path)}", f"--port={port}")
    assert f"127.0.0.1:{port} cannot be listened on" in error


def _services(channel: grpc.Channel) -> set[str]:
    answer = _ask(channel, reflection_pb2.ServerReflectionRequest(list_services=""))
    return {service.name for service in answer.list_services_response.service}


def _methods(channel: grpc.Channel, service: str) -> set[str]:
    answer = _ask(channel, reflection_pb2.ServerReflectionRequest(file_containing_symbol=service))
    files = [FileDescriptorProto.FromString(one) for one in answer.file_descriptor_response.file_descriptor_proto]
    return {
        method.name
        for file in files
        for own in file.service
        if f"{file.package}.{own.name}" == service
        for method in own.method
    }


def _ask(channel: grpc.Channel, request: Any) -> Any:
    [answer] = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([request]))
    return answer
