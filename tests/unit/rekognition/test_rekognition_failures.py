"""How the Rekognition recognizer reports AWS's failures, against a server that answers as AWS does."""

import socket
import threading
from typing import Any

import pytest
from google.rpc import code_pb2

from marquee.v1 import recognizer_pb2 as pb
from services.rekognition.recognizer import RekognitionRecognizer
from services.rekognition.settings import RekognitionSettings
from services.runtime import errors, status
from services.runtime.images.image import Image
from tests.support.aws import Answer, Script, refusal, scripted_aws
from tests.support.processes import PATIENCE
from tests.support.rekognition import options, running_recognizer
from tests.support.servers import picture

pytestmark = pytest.mark.usefixtures("aws_credentials")
FACES = (200, {"CelebrityFaces": [], "UnrecognizedFaces": [{"BoundingBox": {}, "Confidence": 90.0}]})
LABELS = (200, {"Labels": [{"Name": "Boat", "Confidence": 80.0}]})


def answers(celebrities: Answer, labels: Answer) -> Script:
    """Return a script with an answer for each operation."""
    by_operation = {"RecognizeCelebrities": celebrities, "DetectLabels": labels}
    return lambda operation, _: by_operation[operation]


async def recognize(url: str, **own: float) -> pb.RecognizerResult:
    async with running_recognizer(url, **own) as recognizer:
        return await recognizer.recognize(Image(picture((100, 100))), options())


@pytest.mark.parametrize(
    ("code", "http_status", "expected"),
    [
        ("ProvisionedThroughputExceededException", 400, errors.Throttled),
        ("ThrottlingException", 500, errors.Throttled),
        ("InvalidImageFormatException", 400, errors.InvalidImage),
        ("ImageTooLargeException", 400, errors.ImageTooLarge),
        ("InvalidParameterException", 400, errors.InvalidImage),
        ("ValidationException", 400, errors.InvalidRequest),
        ("AccessDeniedException", 400, errors.NotPermitted),
        ("UnrecognizedClientException", 400, errors.CredentialsRefused),
        ("ExpiredTokenException", 400, errors.CredentialsRefused),
        ("InvalidSignatureException", 403, errors.CredentialsRefused),
        ("ResourceNotFoundException", 400, errors.CollectionNotFound),
        ("UnknownOperationException", 400, errors.Misconfigured),
        ("InternalServerError", 500, errors.DependencyUnavailable),
        ("ServiceUnavailable", 503, errors.DependencyUnavailable),
        ("SomethingNewException", 400, errors.DependencyUnavailable),
    ],
)
async def test_each_code_has_its_error(code: str, http_status: int, expected: type[errors.DomainError]) -> None:
    """Callers get a domain error in our own words, because AWS's messages name accounts and users."""
    failure = refusal(code, http_status)
    with scripted_aws(answers(failure, failure)) as aws:
        with pytest.raises(errors.DomainError) as raised:
            await recognize(aws.url, rekognition_attempts=1)
        assert sorted(operation for operation, *_ in aws.requests) == ["DetectLabels", "RecognizeCelebrities"]
    assert type(raised.value) is expected
    assert type(raised.value) in status.TABLE
    assert "arn:" not in raised.value.message


async def test_one_failing_feature_leaves_the_other() -> None:
    """The result has the faces, names the feature that failed with its status, and costs one call."""
    with scripted_aws(answers(FACES, refusal("ThrottlingException"))) as aws:
        result = await recognize(aws.url, rekognition_attempts=2)
    assert len(result.faces) == 1
    (failure,) = result.feature_errors
    assert (failure.feature, failure.status.code) == (pb.FEATURE_LABELS, code_pb2.RESOURCE_EXHAUSTED)
    assert list(result.warnings) == [f"labels failed: {failure.status.message}"]
    assert result.cost_micro_usd == 1000


async def test_features_are_requested_concurrently() -> None:
    """Neither request waits for the other's response: the server responds only once it has both."""
    both_sent = threading.Barrier(2)
    respond = answers(FACES, LABELS)

    def script(operation: str, body: dict[str, Any]) -> Answer:
        both_sent.wait(PATIENCE)
        return respond(operation, body)

    with scripted_aws(script) as aws:
        result = await recognize(aws.url)
    assert [label.name for label in result.labels] == ["Boat"]
    assert result.cost_micro_usd == 2000


async def test_no_answer_in_time_is_a_timeout() -> None:
    """The read timeout ends the wait, and neither request is repeated."""
    go = threading.Event()
    with scripted_aws(lambda *_: go.wait(PATIENCE) and LABELS) as aws:
        with pytest.raises(errors.DependencyTimeout):
            await recognize(aws.url, rekognition_read_timeout_seconds=1)
        go.set()
    assert len(aws.requests) == 2


async def test_a_refused_connection_is_unavailable() -> None:
    """A connection that nobody accepts raises DependencyUnavailable."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(errors.DependencyUnavailable):
        await recognize(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("page", ["<html>Welcome</html>", {}])
async def test_another_server_is_no_empty_success(page: object) -> None:
    """A response with status 200 from a server other than Rekognition is not an empty result."""
    wrong = pytest.raises(errors.DependencyUnavailable, match="does not respond as Rekognition")
    with scripted_aws(answers((200, page), (200, page))) as aws, wrong:
        await recognize(aws.url)


async def test_missing_credentials_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says that there are no credentials before the server takes calls."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(errors.Misconfigured, match="no AWS credentials"):
        await RekognitionRecognizer(RekognitionSettings()).load()


async def test_half_credentials_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for a key without its secret names the secret's variable."""
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(errors.Misconfigured, match="AWS_SECRET_ACCESS_KEY"):
        await RekognitionRecognizer(RekognitionSettings()).load()


async def test_a_missing_region_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no default region: calls to a wrong one would be billed, and the mistake noticed late."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(errors.Misconfigured, match="AWS_REGION"):
        await RekognitionRecognizer(RekognitionSettings()).load()


async def test_aws_region_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_REGION, which EKS and Lambda set, is enough."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    recognizer = RekognitionRecognizer(RekognitionSettings())
    await recognizer.load()
    await recognizer.close()
