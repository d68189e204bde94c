"""What a server tells on standard error."""

from collections.abc import Iterator

import grpc
import pytest

from marquee.v1 import recognizer_pb2 as pb
from tests.unit.leaves import LeafProcess, request, until


@pytest.fixture(scope="module")
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LeafProcess]:
    """A server whose recognizer fails in a way that nobody foresaw."""
    server = LeafProcess(tmp_path_factory.mktemp("crashing"), "--error", "the secret")
    yield server
    server.close()


def calls(server: LeafProcess) -> list[dict[str, object]]:
    return [line for line in server.events("call") if line["request_id"] in {"one", "two"}]


async def test_logs_one_line_a_call(crashing: LeafProcess) -> None:
    """Each call is one JSON line with request_id, method, code and milliseconds."""
    await crashing.serving()
    async with crashing.client() as client:
        await client.RecognizeImage(request(request_id="one", features=[pb.FEATURE_TEXT]), timeout=5)
        with pytest.raises(grpc.aio.AioRpcError):
            await client.RecognizeImage(request(request_id="two", max_labels=-1), timeout=5)
    await until(lambda: len(calls(crashing)) == 2)
    assert [(line["request_id"], line["code"], line["method"]) for line in calls(crashing)] == [
        ("one", "OK", "RecognizeImage"),
        ("two", "INVALID_ARGUMENT", "RecognizeImage"),
    ]
    assert all(0 < float(str(line["ms"])) < 5000 for line in calls(crashing))


async def test_logs_no_health_checks(crashing: LeafProcess) -> None:
    """Kubernetes asks for health every few seconds: no line tells of it."""
    await crashing.serving()
    assert {line["service"] for line in crashing.events("call")} <= {"marquee.v1.RecognizerService"}


async def test_logs_a_crash_with_its_traceback(crashing: LeafProcess) -> None:
    """An unforeseen error is one JSON line with request_id and traceback: what the caller was not told."""
    await crashing.serving()
    async with crashing.client() as client:
        with pytest.raises(grpc.aio.AioRpcError):
            await client.RecognizeImage(request(request_id="mine"), timeout=5)
    (line,) = crashing.events("unforeseen")
    assert line["request_id"] == "mine"
    assert "KeyError: 'the secret'" in str(line["exception"])
