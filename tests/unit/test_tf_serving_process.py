"""`python -m local.tf_serving` as a process."""

import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.unit.tf_serving_models import write_brightness_model


def _start(base: Path, port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "local.tf_serving", "--model-base", str(base), "--port", str(port)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and standard error of a process that ends by itself."""
    try:
        _, error = process.communicate(timeout=20)
    finally:
        process.kill()
    return process.returncode, error


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_reflection_and_graceful_stop(tmp_path: Path) -> None:
    """Reflection knows both services; SIGTERM ends the process with 0; nothing is printed on standard output."""
    port = _free_port()
    process = _start(write_brightness_model(tmp_path), port)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=20)
            services = _services(channel)
            prediction = _methods(channel, "tensorflow.serving.PredictionService")
            status = _methods(channel, "tensorflow.serving.ModelService")
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=10)
    finally:
        process.kill()
    assert {"tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"} <= services
    assert {"Predict", "GetModelMetadata"} <= prediction
    assert status == {"GetModelStatus"}
    assert (process.returncode, output) == (0, "")


def test_no_model(tmp_path: Path) -> None:
    """A folder without a version is refused with 2 and a line that says what is missing."""
    code, error = _end(_start(tmp_path, _free_port()))
    assert code == 2
    assert error == f"{tmp_path} has no <version>/model.onnx, with a number as version\n"


def test_port_that_is_taken(tmp_path: Path) -> None:
    """A port that another server has is refused with 2, not shared with it."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, error = _end(_start(write_brightness_model(tmp_path), port))
    assert code == 2
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
