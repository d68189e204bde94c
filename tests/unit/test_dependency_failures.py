"""Failures of what stands behind the servers: Rekognition, DynamoDB, S3 and TensorFlow Serving, each on its own wire.

One table for all clients: what passes by itself gets a code that callers retry, what lasts gets one that they do not.
"""

import json
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import pytest
from botocore.exceptions import ClientError
from google.rpc import error_details_pb2, status_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

from marquee.v1 import recognizer_pb2 as pb
from services.keras.serving.client import ServedModel
from services.rekognition.aws.calls import Calls, Rates, connect
from services.rekognition.aws.errors import explain
from services.rekognition.budget.ledger import ProcessLedger
from services.rekognition.request import Request
from services.rekognition.table import client as table_client
from services.rekognition.table.people import EnrolledPeople
from services.runtime import status
from services.runtime.errors import DependencyUnavailable, DomainError
from services.runtime.storage.s3 import S3, ObjectStore, S3Url
from tests.support.aws import in_background, settings

pytestmark = pytest.mark.usefixtures("aws_credentials")

UNAVAILABLE = ("UNAVAILABLE", "DEPENDENCY_UNAVAILABLE")
THROTTLED = ("RESOURCE_EXHAUSTED", "THROTTLED")
TIMEOUT = ("DEADLINE_EXCEEDED", "DEPENDENCY_TIMEOUT")
NOT_READY = ("UNAVAILABLE", "MODEL_NOT_READY")
OVERLOADED = ("RESOURCE_EXHAUSTED", "OVERLOADED")
CREDENTIALS = ("UNAUTHENTICATED", "CREDENTIALS_REFUSED")
FORBIDDEN = ("PERMISSION_DENIED", "NOT_PERMITTED")
MISCONFIGURED = ("FAILED_PRECONDITION", "MISCONFIGURED")
RETRIED = {"UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED", "DEADLINE_EXCEEDED"}
AWS = ("rekognition", "dynamodb", "s3", "pictures")

Row = tuple[str, str, int, tuple[str, str]]


def rows(clients: tuple[str, ...], codes: tuple[tuple[str, int], ...], **expected: tuple[str, str]) -> list[Row]:
    """Return a row for each client and code; a client without an expectation of its own has that of `other`."""
    return [(one, code, http, expected.get(one, expected["other"])) for one in clients for code, http in codes]


THROTTLING = (
    *(("Throttling", 400), ("ThrottlingException", 400), ("ThrottlingException", 500), ("ThrottledException", 400)),
    *(("ProvisionedThroughputExceededException", 400), ("RequestLimitExceeded", 400), ("RequestThrottled", 400)),
    *(("BandwidthLimitExceeded", 509), ("LimitExceededException", 400), ("SlowDown", 503), ("", 429)),
    *(("TooManyRequestsException", 429), ("PriorRequestNotComplete", 400), ("KMS.ThrottlingException", 400)),
)
BREAKDOWNS = (
    *(("InternalError", 500), ("InternalServerError", 500), ("InternalFailure", 500), ("ServiceUnavailable", 503)),
    *(("RequestTimeout", 400), ("RequestTimeoutException", 400), ("SomethingNew", 500)),
    *(("", 500), ("", 502), ("", 503), ("", 504), ("reset", 0), ("close", 0), ("cut", 0)),
)
CONFLICTS = (
    *(("TransactionConflictException", 400), ("TransactionInProgressException", 400)),
    ("ReplicatedWriteConflictException", 409),
)
DAMAGED_ON_THE_WAY = (("BadDigest", 400), ("IncompleteBody", 400), ("XAmzContentSHA256Mismatch", 400))
STALE_CREDENTIALS = (
    *(("ExpiredToken", 400), ("ExpiredTokenException", 400), ("InvalidClientTokenId", 403)),
    *(("UnrecognizedClientException", 400), ("SignatureDoesNotMatch", 403), ("InvalidAccessKeyId", 403)),
    *(("RequestExpired", 400), ("RequestTimeTooSkewed", 403), ("MissingAuthenticationTokenException", 400)),
    ("IDPRejectedClaim", 403),
)
TABLE = [
    *rows(AWS, THROTTLING, rekognition=THROTTLED, other=UNAVAILABLE),
    *rows(AWS, BREAKDOWNS, other=UNAVAILABLE),
    *rows(("rekognition", "dynamodb"), (("<html>", 200),), other=UNAVAILABLE),
    *rows(AWS, (("silence", 0),), rekognition=TIMEOUT, other=UNAVAILABLE),
    *rows(("dynamodb",), CONFLICTS, other=UNAVAILABLE),
    *rows(("s3", "pictures"), (("OperationAborted", 409), *DAMAGED_ON_THE_WAY), other=UNAVAILABLE),
    *rows(AWS, (("IDPCommunicationError", 400),), other=UNAVAILABLE),
    ("rekognition", "ConflictException", 400, ("ABORTED", "GALLERY_BUSY")),
    *rows(AWS, STALE_CREDENTIALS, other=CREDENTIALS),
    *rows(
        AWS,
        (("AccessDeniedException", 400), ("AccessDenied", 403)),
        s3=MISCONFIGURED,
        pictures=("PERMISSION_DENIED", "OBJECT_FORBIDDEN"),
        other=FORBIDDEN,
    ),
    ("dynamodb", "ItemCollectionSizeLimitExceededException", 400, MISCONFIGURED),
    ("dynamodb", "ResourceNotFoundException", 400, MISCONFIGURED),
    ("dynamodb", "SomethingNewException", 400, MISCONFIGURED),
    ("rekognition", "InvalidImageFormatException", 400, ("INVALID_ARGUMENT", "INVALID_IMAGE")),
    ("rekognition", "ResourceNotFoundException", 400, ("NOT_FOUND", "COLLECTION_NOT_FOUND")),
    ("s3", "NoSuchKey", 404, ("NOT_FOUND", "OBJECT_NOT_FOUND")),
    ("s3", "NoSuchBucket", 404, MISCONFIGURED),
    ("s3", "NotImplemented", 501, MISCONFIGURED),
    ("pictures", "NoSuchBucket", 404, ("NOT_FOUND", "OBJECT_NOT_FOUND")),
    ("pictures", "InvalidObjectState", 403, ("PERMISSION_DENIED", "OBJECT_FORBIDDEN")),
    ("pictures", "KeyTooLongError", 400, ("INVALID_ARGUMENT", "INVALID_REQUEST")),
    *(
        ("serving", code, 0, NOT_READY if code in ("UNAVAILABLE", "NOT_FOUND") else UNAVAILABLE)
        for code in ("UNAVAILABLE", "NOT_FOUND", "ABORTED", "UNKNOWN", "INTERNAL", "CANCELLED", "DATA_LOSS")
    ),
    ("serving", "RESOURCE_EXHAUSTED", 0, OVERLOADED),
    ("serving", "DEADLINE_EXCEEDED", 0, TIMEOUT),
    *(
        ("serving", code, 0, MISCONFIGURED)
        for code in ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "UNIMPLEMENTED", "OUT_OF_RANGE", "PERMISSION_DENIED")
    ),
    ("serving", "RESOURCE_EXHAUSTED: Received message larger than max (9 vs. 4)", 0, MISCONFIGURED),
]


class Aws(ThreadingHTTPServer):
    """Fails every request with `code` and `http_status`, in the format of the service that is asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.code, self.http_status = "", 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer Rekognition's and DynamoDB's protocol."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        code = self.server.code
        self._fail(code if code == "<html>" else json.dumps({"__type": code, "message": ""} if code else {}))

    def do_GET(self) -> None:
        """Answer S3's protocol."""
        code = self.server.code
        self._fail(f"<Error><Code>{code}</Code></Error>" if code else "")

    def _fail(self, content: str) -> None:
        code, body = self.server.code, content.encode()
        if code == "silence":
            self.connection.recv(1)  # until the client gives up
        if code == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if code in ("silence", "reset", "close"):
            self.connection.close()
            self.close_connection = True
            return
        self.send_response(self.server.http_status or 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:-1] if code == "cut" else body)
        self.close_connection = code == "cut"

    def finish(self) -> None:
        if self.connection.fileno() >= 0:
            super().finish()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with in_background(Aws()) as server:
        yield server


class _Serving(prediction_service_pb2_grpc.PredictionServiceServicer):
    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> None:  # noqa: N802 - the API's name
        code, _, details = request.model_spec.name.partition(": ")
        context.abort(grpc.StatusCode[code], details or "Stream removed")


@pytest.fixture(scope="module")
def serving() -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Serving(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


Call = Callable[[str], Awaitable[object]]
"""A call of a client, which gets the code to fail with."""


@pytest.fixture(scope="module")
def calls(aws: Aws, serving: str) -> Iterator[dict[str, Call]]:
    """Yield a call of each client; those of AWS send it once, and wait 1 s for a response."""
    patch = pytest.MonkeyPatch()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        patch.setenv(name, "us-east-1")
    own = settings(aws.url, dynamodb_endpoint_url=aws.url, rekognition_attempts=1, rekognition_read_timeout_seconds=1)
    rekognition = Calls(connect(own), own, ProcessLedger(None), Rates(10_000, {}))
    dynamodb = table_client.connect(own)
    people = EnrolledPeople(dynamodb, "table")
    once = {"read_timeout": 1, "retries": {"total_max_attempts": 1}}
    s3, pictures = S3(aws.url, **once), ObjectStore(aws.url)
    pictures._config |= once

    async def recognize(_: str) -> object:
        request = Request(rekognition, time.monotonic() + 60)
        return await request.ask("DetectLabels", "Labels", Image={"Bytes": b"picture"})

    async def look_up(_: str) -> object:
        return people.get("collection", "person")

    async def read(_: str) -> object:
        return s3.read(S3Url("bucket", "key"))

    async def fetch(_: str) -> object:
        return pictures.fetch(pb.S3Object(bucket="bucket", key="key"))

    async def signature(code: str) -> object:
        model = ServedModel(serving, code)
        try:
            return await model.signature(60)
        finally:
            await model.close()

    yield {"rekognition": recognize, "dynamodb": look_up, "s3": read, "pictures": fetch, "serving": signature}
    rekognition.close()
    for client in (dynamodb, s3.client, pictures.client):
        client.close()
    patch.undo()


@pytest.mark.parametrize("row", TABLE, ids=[f"{client}-{code}-{http}" for client, code, http, _ in TABLE])
async def test_failures_are_told_apart(calls: dict[str, Call], aws: Aws, row: Row) -> None:
    """Each failure has its code and reason; where a service throttles, callers learn when to try again."""
    client, code, http, expected = row
    aws.code, aws.http_status = code, http
    with pytest.raises(DomainError) as failure:
        await calls[client](code)
    answer = status.from_exception(failure.value)
    assert (status.code_of(answer).name, status.reason_of(answer)) == expected
    assert _has_retry_info(answer) == ((code, http) in THROTTLING)


def test_what_passes_by_itself_is_retried() -> None:
    """Every transient failure of the table has a code that callers retry."""
    transient = (*THROTTLING, *BREAKDOWNS, *CONFLICTS, *DAMAGED_ON_THE_WAY)
    assert {expected[0] for _, code, http, expected in TABLE if (code, http) in transient} <= RETRIED


def test_a_silent_source_of_credentials_is_unavailable(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """The instance's or the pod's metadata may fail for a moment, when a server starts and later."""
    aws.code, aws.http_status = "", 503
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{aws.url}/credentials")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)
    with pytest.raises(DependencyUnavailable):
        connect(settings(aws.url))
    with pytest.raises(DependencyUnavailable):
        S3(aws.url).read(S3Url("bucket", "key"))


def test_a_wrong_clock_is_named() -> None:
    """AWS has no code of its own for it, only a text."""
    message = "Signature expired: 20261126T063000Z is now earlier than 20261126T064000Z"
    error = {"Error": {"Code": "InvalidSignatureException", "Message": message}, "ResponseMetadata": {}}
    assert "clock" in explain(ClientError(error, "DetectLabels")).message


def _has_retry_info(answer: status_pb2.Status) -> bool:
    return any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in answer.details)
