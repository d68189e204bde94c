"""The local Rekognition endpoint's HTTP: what it makes of malformed requests, pages of other origins, and the bill."""

import base64
import http.client
import json
import re
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from local.rekognition.wire.app import create_app
from local.rekognition.wire.errors import AwsError
from local.rekognition.wire.protocol import operation_handler
from tests.support.aws import serving
from tests.support.processes import ROOT, wait_until

pytestmark = pytest.mark.slow

SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/rekognition/aws4_request, "
    f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
}
ORIGIN = {"Origin": "http://localhost:3000"}
PICTURE = {"Image": {"Bytes": base64.b64encode(b"x").decode()}}


def fail(code: str, status: int) -> Any:
    raise AwsError(code, "not now", status)


def crash() -> Any:
    raise RuntimeError("a bug")


OPERATIONS = {
    "DetectFaces": lambda _: {"FaceDetails": []},
    "DetectLabels": lambda request: {"Labels": [{"Name": request["Image"]["S3Object"]["Name"].encode().decode()}]},
    "DetectText": lambda _: fail("ThrottlingException", 400),
    "RecognizeCelebrities": lambda _: fail("InternalServerError", 500),
    "DetectModerationLabels": lambda _: crash(),
    "ListCollections": lambda _: {"CollectionIds": []},
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(create_app(operation_handler(OPERATIONS))) as running:
        yield running


def send(
    url: str, method: str, path: str = "/", body: bytes | str = b"", headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Return the response's status, headers by lower-case name, and body."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    connection.request(method, path, body, dict(headers or {}))
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, {name.lower(): value for name, value in response.getheaders()}, content


def call(url: str, operation: str, body: object, headers: Mapping[str, str] = SIGNED) -> tuple[int, dict, bytes]:
    content = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return send(url, "POST", body=content, headers={"X-Amz-Target": f"RekognitionService.{operation}", **headers})


SERIALIZATION = "SerializationException"
REFUSED: dict[str, tuple[str, object, str]] = {
    "no target": ("", PICTURE, "UnknownOperationException"),
    "an operation of nobody": ("MakeCoffee", {}, "UnknownOperationException"),
    "no body": ("DetectFaces", b"", SERIALIZATION),
    "a list": ("DetectFaces", [["Image", {"Bytes": ""}]], SERIALIZATION),
    "a number": ("DetectFaces", 5, SERIALIZATION),
    "cut short": ("DetectFaces", '{"Image": {"Byt', SERIALIZATION),
    "no UTF-8": ("DetectFaces", b'{"Image": "\xff"}', SERIALIZATION),
    "deep": ("DetectFaces", "[" * 100_000, SERIALIZATION),
    "no base64": ("DetectFaces", {"Image": {"Bytes": "%%%"}}, SERIALIZATION),
    "cut base64": ("DetectFaces", {"Image": {"Bytes": "abc"}}, SERIALIZATION),
    "bytes of another type": ("DetectFaces", {"Image": {"Bytes": 5}}, SERIALIZATION),
    "an image of another type": ("DetectFaces", {"Image": 5}, SERIALIZATION),
    "NaN": ("DetectLabels", '{"MinConfidence": NaN, "Image": {"Bytes": ""}}', SERIALIZATION),
    "infinity": ("DetectLabels", '{"MinConfidence": Infinity, "Image": {"Bytes": ""}}', SERIALIZATION),
    "half a surrogate": (
        "DetectLabels",
        '{"Image": {"S3Object": {"Bucket": "pics", "Name": "\\ud800"}}}',
        SERIALIZATION,
    ),
    "a huge number": ("DetectLabels", '{"MaxLabels": ' + "9" * 5000 + "}", SERIALIZATION),
    "no image": ("DetectFaces", {}, "ValidationException"),
    "a member of nobody": ("DetectFaces", {**PICTURE, "Coffee": True}, "ValidationException"),
    "neither bytes nor object": ("DetectFaces", {"Image": {}}, "InvalidParameterException"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_malformed_requests_are_refused(url: str, case: str) -> None:
    """Whatever a request lacks or has too much of, the response is AWS's code in JSON, with a request id."""
    operation, body, code = REFUSED[case]
    status, headers, content = call(url, operation, body)
    assert (status, json.loads(content)["__type"]) == (400, code)
    assert headers["x-amzn-requestid"]


@pytest.mark.parametrize(
    ("headers", "code"),
    [({}, "MissingAuthenticationTokenException"), ({"Authorization": "Bearer x"}, "IncompleteSignatureException")],
)
def test_unsigned_requests_are_refused(url: str, headers: dict[str, str], code: str) -> None:
    """A request without SigV4 gets AWS's code."""
    assert json.loads(call(url, "DetectFaces", PICTURE, headers)[2])["__type"] == code


def test_a_body_over_the_limit_is_not_kept(url: str) -> None:
    """A body larger than two pictures can be is refused, after it has passed by."""
    status, _, content = call(url, "DetectFaces", b" " * (16 * 1024 * 1024 + 1))
    assert (status, json.loads(content)["__type"]) == (413, "RequestEntityTooLargeException")


def test_a_caller_who_goes_away_is_a_lost_connection() -> None:
    """A request that is cut short is counted as reset, and is no error of the endpoint."""
    with serving(create_app(operation_handler(OPERATIONS))) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n")
            connection.sendall(b"X-Amz-Target: RekognitionService.DetectFaces\r\n\r\n{")
        wait_until(lambda: json.loads(send(url, "GET", "/calls")[2]))
        assert json.loads(send(url, "GET", "/calls")[2])["DetectFaces"]["reset"] == 1


@pytest.mark.parametrize("origin", ["http://localhost:3000", "https://app.example.com", "null"])
def test_pages_of_other_origins_may_call(url: str, origin: str) -> None:
    """A browser's preflight for the headers that the JavaScript SDK sends is answered, with AWS's 48 hours.

    Chrome also asks whether a page of the internet may call this machine.
    """
    sent = "amz-sdk-invocation-id,amz-sdk-request,authorization,content-type,x-amz-content-sha256,x-amz-date"
    wanted = f"{sent},x-amz-security-token,x-amz-target,x-amz-user-agent"
    question = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted}
    private = {"Access-Control-Request-Private-Network": "true"}
    status, headers, _ = send(url, "OPTIONS", headers={"Origin": origin, **question, **private})
    assert status == 200
    assert headers["access-control-allow-origin"] == "*"
    assert "POST" in headers["access-control-allow-methods"]
    assert set(wanted.split(",")) <= set(headers["access-control-allow-headers"].split(","))
    assert headers["access-control-max-age"] == "172800"
    assert headers["access-control-allow-private-network"] == "true"


@pytest.mark.parametrize(
    "operation", ["DetectFaces", "DetectText", "RecognizeCelebrities", "DetectModerationLabels", "MakeCoffee"]
)
def test_every_response_can_be_read_by_a_page(url: str, operation: str) -> None:
    """A success, a refusal, AWS's own fault and a bug of the endpoint allow any origin and show the request id."""
    _, headers, _ = call(url, operation, PICTURE, {**SIGNED, **ORIGIN})
    assert headers["access-control-allow-origin"] == "*"
    assert "x-amzn-RequestId" in headers["access-control-expose-headers"]


def test_a_person_in_a_browser_is_told_what_this_is(url: str) -> None:
    """The address itself answers with a command that can be pasted."""
    status, _, content = send(url, "GET")
    assert status == 200
    assert f"AWS_ENDPOINT_URL_REKOGNITION={url} AWS_ACCESS_KEY_ID=test" in content.decode()


def test_only_what_aws_bills_is_counted_as_billed() -> None:
    """Billed are pictures that were looked at; listing is free, and errors, throttling and 500s cost nothing."""
    with serving(create_app(operation_handler(OPERATIONS))) as url:
        for operation in (*OPERATIONS, "MakeCoffee", "MakeTea"):
            call(url, operation, PICTURE if operation != "ListCollections" else {})
        call(url, "DetectFaces", {})
        counts = json.loads(send(url, "GET", "/calls")[2])
    nonzero = {name: {kind: n for kind, n in kinds.items() if n} for name, kinds in counts.items()}
    assert nonzero == {
        "DetectFaces": {"billed": 1, "refused": 1},
        "DetectLabels": {"failed": 1},
        "DetectText": {"throttled": 1},
        "RecognizeCelebrities": {"failed": 1},
        "DetectModerationLabels": {"failed": 1},
        "ListCollections": {"free": 1},
        "unknown": {"refused": 2},
    }


def test_the_documentations_program_runs_as_it_stands(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Pasted with another port only, without credentials of any account, the example prints the collections."""
    text = (ROOT / "docs/rekognition-endpoint.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(program.replace("http://127.0.0.1:9000", url), {})  # noqa: S102 - our own documentation
    assert capsys.readouterr().out == "[]\n"
