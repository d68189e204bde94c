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
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.support.processes import PATIENCE, free_port, run, spawn
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
    assert status == {"GetModelStatus"}
    assert (process.returncode, output) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--model_base_path=/missing"], "Could not find base path /missing for servable default\n"),
        ([], "model_base_path and server_options.model_config_file are empty!"),
        (["--model_base_path=/", "--batching_parameters_file=x"], "is set without setting enable_batching"),
        (["--model_base_path=/", "--inject_error=BROKEN"], "'BROKEN' is not CODE or CODE:SHARE"),
        (["--model_config_file=/missing"], "No such file or directory: '/missing'"),
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
