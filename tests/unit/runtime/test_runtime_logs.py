"""A server's log on standard error."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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


async def test_every_call_says_who_called_from_where(tmp_path: Path) -> None:
    """So do calls that fail, are given up or name no method, and streams, where everybody may call."""
    server = LeafProcess(tmp_path, "--until", tmp_path / "never")
    try:
        await server.serving()
        async with server.client() as client, grpc.aio.insecure_channel(server.address) as channel:
            for method in ("RecognizeImage", "StreamRecognizeImage"):
                call = getattr(client, method)(request(), timeout=PATIENCE)
                await server.begun(method)
                call.cancel()
            await client.ListRecognizers(pb.ListRecognizersRequest(), timeout=PATIENCE)
            for failing in (
                client.RecognizeImage(request(max_labels=-1), timeout=PATIENCE),
                channel.unary_unary("/marquee.v1.RecognizerService/Guess")(b"", timeout=PATIENCE),
            ):
                with pytest.raises(grpc.aio.AioRpcError):
                    await failing
            await until(lambda: len(server.events("call")) == 5)
        lines = {(line["method"], line["code"], line["caller"]) for line in server.events("call")}
        assert lines == {
            ("ListRecognizers", "OK", "anonymous"),
            ("RecognizeImage", "INVALID_ARGUMENT", "anonymous"),
            ("unknown", "UNIMPLEMENTED", None),
            ("RecognizeImage", "CANCELLED", "anonymous"),
            ("StreamRecognizeImage", "CANCELLED", "anonymous"),
        }
        assert all(re.fullmatch(r"127\.0\.0\.1:\d+", str(line["peer"])) for line in server.events("call"))
    finally:
        server.close()


async def test_logs_no_health_checks(crashing: LeafProcess) -> None:
    """Health checks, which Kubernetes makes every few seconds, are not logged."""
    await crashing.serving()
    assert {line["service"] for line in crashing.events("call")} <= {"marquee.v1.RecognizerService"}


async def test_logs_a_crash_with_its_traceback(crashing: LeafProcess) -> None:
    """An unforeseen error is one JSON line with request_id, caller and traceback, which the caller does not get."""
    await crashing.serving()
    async with crashing.client() as client:
        with pytest.raises(grpc.aio.AioRpcError):
            await client.RecognizeImage(request(request_id="mine"), timeout=60)
    (line,) = crashing.events("unforeseen")
    assert (line["request_id"], line["caller"]) == ("mine", "anonymous")
    assert str(line["peer"]).startswith("127.0.0.1:")
    assert "KeyError: 'the secret'" in str(line["exception"])


async def test_a_console_gets_no_values_of_variables(tmp_path: Path) -> None:
    """A traceback for a person is Python's own: variables may hold what is secret, such as tokens."""
    server = LeafProcess(tmp_path, "--error", "mine", MARQUEE_LOG_FORMAT="console")
    try:
        await server.serving()
        async with server.client() as client:
            with pytest.raises(grpc.aio.AioRpcError):
                await client.RecognizeImage(request(), timeout=PATIENCE)
        log = (tmp_path / "stderr").read_text()
        assert "Traceback (most recent call last):" in log
        assert "KeyError: 'mine'" in log
        assert "locals" not in log
    finally:
        server.close()


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
