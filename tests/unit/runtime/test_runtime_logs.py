"""A server's log on standard error."""

import os
import subprocess
import sys
from collections.abc import Iterator

import grpc
import pytest

from marquee.v1 import recognizer_pb2 as pb
from marquee.v1 import recognizer_pb2_grpc
from tests.support.processes import PATIENCE, free_port, spawn
from tests.support.servers import LeafProcess, request, until


@pytest.fixture(scope="module")
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LeafProcess]:
    """Yield a server whose recognizer fails with an unforeseen error."""
    server = LeafProcess(tmp_path_factory.mktemp("crashing"), "--error", "the secret")
    yield server
    server.close()


def call_lines(server: LeafProcess) -> list[dict[str, object]]:
    return [line for line in server.events("call") if line["request_id"] in {"one", "two"}]


async def test_logs_one_line_per_call(crashing: LeafProcess) -> None:
    """Each call is one JSON line with request_id, method, code and milliseconds."""
    await crashing.serving()
    async with crashing.client() as client:
        await client.RecognizeImage(request(request_id="one", features=[pb.FEATURE_TEXT]), timeout=60)
        with pytest.raises(grpc.aio.AioRpcError):
            await client.RecognizeImage(request(request_id="two", max_labels=-1), timeout=60)
    await until(lambda: len(call_lines(crashing)) == 2)
    assert [(line["request_id"], line["code"], line["method"]) for line in call_lines(crashing)] == [
        ("one", "OK", "RecognizeImage"),
        ("two", "INVALID_ARGUMENT", "RecognizeImage"),
    ]
    assert all(0 < float(str(line["ms"])) < 5000 for line in call_lines(crashing))


async def test_logs_no_health_checks(crashing: LeafProcess) -> None:
    """Health checks, which Kubernetes makes every few seconds, are not logged."""
    await crashing.serving()
    assert {line["service"] for line in crashing.events("call")} <= {"marquee.v1.RecognizerService"}


async def test_logs_a_crash_with_its_traceback(crashing: LeafProcess) -> None:
    """An unforeseen error is one JSON line with request_id and traceback, which the caller does not get."""
    await crashing.serving()
    async with crashing.client() as client:
        with pytest.raises(grpc.aio.AioRpcError):
            await client.RecognizeImage(request(request_id="mine"), timeout=60)
    (line,) = crashing.events("unforeseen")
    assert line["request_id"] == "mine"
    assert "KeyError: 'the secret'" in str(line["exception"])


def test_an_unread_log_fails_no_call() -> None:
    """Calls are answered even if standard error is a pipe whose reader has closed it."""
    port = str(free_port())
    own = {"MARQUEE_PORT": port, "MARQUEE_METRICS_PORT": str(free_port())}
    command = [sys.executable, "-m", "tests.support.servers"]
    with spawn(command, env=os.environ | own, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        process.stderr.close()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = recognizer_pb2_grpc.RecognizerServiceStub(channel)
            for _ in range(2):
                stub.ListRecognizers(pb.ListRecognizersRequest(), timeout=PATIENCE, wait_for_ready=True)
        process.terminate()
        assert process.wait(PATIENCE) == 0
