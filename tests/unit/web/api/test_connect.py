"""The contract over HTTP by Connect and gRPC-Web, in front of a gateway with scripted recognizers."""

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import grpc
import httpx
import pytest
import pytest_asyncio
from google.protobuf import json_format
from google.rpc import status_pb2

from marquee.v1 import enrollment_pb2
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1.recognizer_pb2_grpc import RecognizerServiceStub
from services.runtime.errors import InvalidImage, Throttled
from services.runtime.limits import MAX_IMAGE_BYTES
from tests.support import openapi
from tests.support.processes import PATIENCE
from tests.support.servers import picture, request, until
from tests.support.stage import Stage, stage

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

RECOGNIZE = "/marquee.v1.RecognizerService/RecognizeImage"
STREAM = "/marquee.v1.RecognizerService/StreamRecognizeImage"
ENROLL = "/marquee.v1.EnrollmentService/EnrollFaces"
NAMES = ["keras", "rekognition", "svm"]
PICTURE = {"image": {"content": base64.b64encode(picture()).decode()}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(folder: Path) -> AsyncIterator[Stage]:
    async with stage(folder) as here:
        yield here


@pytest.fixture
def api(served: Stage) -> Stage:
    served.reset()
    return served


async def post(api: Stage, path: str, content: bytes, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=api.url, timeout=PATIENCE, trust_env=False) as client:
        return await client.post(path, content=content, headers={k.replace("_", "-"): v for k, v in headers.items()})


async def call(api: Stage, path: str, body: object, **headers: str) -> httpx.Response:
    return await post(api, path, json.dumps(body).encode(), content_type="application/json", **headers)


def envelope(content: bytes, flags: int = 0) -> bytes:
    return bytes([flags]) + len(content).to_bytes(4, "big") + content


def envelopes(body: bytes) -> list[tuple[int, bytes]]:
    """Return the flags and the content of each envelope."""
    parts = []
    while body:
        end = 5 + int.from_bytes(body[1:5], "big")
        parts.append((body[0], body[5:end]))
        body = body[end:]
    return parts


def error(response: httpx.Response) -> tuple[int, str, str]:
    """Return HTTP's code, Connect's and the reason."""
    content = response.json()
    return response.status_code, content["code"], content["details"][0]["debug"]["reason"]


async def test_json_is_what_grpc_answers(api: Stage) -> None:
    """A call in JSON has the results and verdicts of the same call over gRPC."""
    async with grpc.aio.insecure_channel(api.gateway) as channel:
        expected = json_format.MessageToDict(await RecognizerServiceStub(channel).RecognizeImage(request()))
    answer = (await call(api, RECOGNIZE, PICTURE | {"requestId": "r1"})).json()
    assert answer["requestId"] == "r1"
    assert [answer[name] for name in ("image", "verdicts", "labels")] == [
        expected[name] for name in ("image", "verdicts", "labels")
    ]


@pytest.mark.parametrize(
    ("path", "body", "schema"),
    [
        (RECOGNIZE, PICTURE | {"features": ["FEATURE_CELEBRITIES", "FEATURE_LABELS"]}, "RecognizeImageResponse"),
        (RECOGNIZE, PICTURE | {"recognizerOptions": {"svm": {"timeout": "5s"}}}, "RecognizeImageResponse"),
        (RECOGNIZE, PICTURE | {"recognizers": ["keras", "svm"]}, "RecognizeImageResponse"),
        ("/marquee.v1.RecognizerService/ListRecognizers", {}, "ListRecognizersResponse"),
        (ENROLL, {"displayName": "Grace", "images": [PICTURE["image"]]}, "EnrollFacesResponse"),
        ("/marquee.v1.EnrollmentService/ListPeople", {"pageSize": 5}, "ListPeopleResponse"),
        ("/marquee.v1.EnrollmentService/ListFaces", {"personId": "grace"}, "ListFacesResponse"),
        ("/marquee.v1.EnrollmentService/RemovePerson", {"personId": "grace"}, "RemovePersonResponse"),
        (RECOGNIZE, {}, "Error"),
    ],
)
async def test_answers_are_as_described(api: Stage, path: str, body: dict[str, Any], schema: str) -> None:
    """What goes in and what comes out fits its schema in the description of the API."""
    api.fail("keras", InvalidImage("The picture does not decode."))
    answer = (await call(api, path, body)).json()
    assert answer
    openapi.check(schema, answer)
    asked = openapi.DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    openapi.check(asked.rpartition("/")[2], body)


async def test_protobuf_is_taken_and_given(api: Stage) -> None:
    """A call in protobuf is answered in protobuf."""
    answer = await post(api, RECOGNIZE, request().SerializeToString(), content_type="application/proto")
    assert answer.headers["content-type"] == "application/proto"
    response = pb.RecognizeImageResponse.FromString(answer.content)
    assert sorted(one.recognizer for one in response.results) == NAMES


@pytest.mark.parametrize("codec", ["json", "proto"])
async def test_streams_come_one_result_at_a_time(api: Stage, codec: str) -> None:
    """A stream's messages are each recognizer's result, then what depends on all, then the end."""
    body = json.dumps(PICTURE).encode() if codec == "json" else request().SerializeToString()
    answer = await post(api, STREAM, envelope(body), content_type=f"application/connect+{codec}")
    *messages, end = envelopes(answer.content)
    responses = [_read(content, codec) for _, content in messages]
    assert sorted(one.results[0].recognizer for one in responses[:-1]) == NAMES
    assert responses[-1].verdicts
    assert end == (2, b"{}")


def _read(content: bytes, codec: str) -> pb.RecognizeImageResponse:
    if codec == "json":
        return json_format.Parse(content, pb.RecognizeImageResponse())
    return pb.RecognizeImageResponse.FromString(content)


async def test_streams_are_not_held_back(api: Stage) -> None:
    """A result is there before the next recognizer has answered."""
    shown = asyncio.Event()
    api.recognizers["svm"].until = shown.is_set
    async with (
        httpx.AsyncClient(base_url=api.url, timeout=PATIENCE, trust_env=False) as client,
        client.stream(
            "POST",
            STREAM,
            content=envelope(json.dumps(PICTURE).encode()),
            headers={"content-type": "application/connect+json"},
        ) as answer,
    ):
        parts = answer.aiter_raw()
        body = await anext(parts)
        shown.set()
        async for part in parts:
            body += part
    assert len(envelopes(body)) == len(NAMES) + 2


@pytest.mark.parametrize(("path", "count"), [(RECOGNIZE, 1), (STREAM, 4)])
async def test_grpc_web_works(api: Stage, path: str, count: int) -> None:
    """gRPC-Web gets the messages and, at last, the status."""
    body = envelope(request().SerializeToString())
    answer = await post(api, path, body, content_type="application/grpc-web+proto")
    *messages, (flags, trailers) = envelopes(answer.content)
    assert (len(messages), flags, b"grpc-status: 0" in trailers) == (count, 0x80, True)


async def test_people_are_enrolled(api: Stage) -> None:
    """Every service of the contract is there, enrollment too, and short names of fields as well as JSON's."""
    body = {"display_name": "Grace Hopper", "images": [PICTURE["image"]], "recognizers": ["svm"]}
    answer = json_format.ParseDict((await call(api, ENROLL, body)).json(), enrollment_pb2.EnrollFacesResponse())
    assert answer.person_id == "grace-hopper"
    assert answer.results[0].faces[0].state == enrollment_pb2.ENROLLMENT_STATE_ENROLLED


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, "invalid_argument", "IMAGE_MISSING")),
        ({"imag": 1}, (400, "invalid_argument", "MALFORMED_REQUEST")),
        ([], (400, "invalid_argument", "MALFORMED_REQUEST")),
        (PICTURE | {"recognizers": ["x"]}, (400, "invalid_argument", "UNKNOWN_RECOGNIZER")),
        (PICTURE | {"requestId": "x" * 200}, (400, "invalid_argument", "INVALID_REQUEST")),
        ({"image": {"s3Object": {"bucket": "b", "key": "k"}}}, (403, "permission_denied", "BUCKET_NOT_ALLOWED")),
    ],
)
async def test_errors_keep_code_and_reason(api: Stage, body: object, expected: tuple[int, str, str]) -> None:
    """What is wrong with a request is told as over gRPC, in Connect's JSON with the code's HTTP status."""
    assert error(await call(api, RECOGNIZE, body)) == expected


async def test_details_pass_through(api: Stage) -> None:
    """A failed call has each recognizer's status, and what gRPC's details say is readable in JSON."""
    for name in NAMES:
        api.fail(name, InvalidImage("The picture does not decode."))
    answer = await call(api, RECOGNIZE, PICTURE)
    assert error(answer) == (400, "invalid_argument", "INVALID_IMAGE")
    statuses = [one["debug"] for one in answer.json()["details"] if one["type"] == "google.rpc.Status"]
    assert sorted(one["message"].partition(":")[0] for one in statuses) == NAMES


async def test_recognizers_say_when_to_come_back(api: Stage) -> None:
    """If all recognizers are too busy, HTTP's own header says when the first of them is free again."""
    for seconds, name in enumerate(NAMES, 2):
        api.fail(name, Throttled("Too many.", retry_after=seconds))
    answer = await call(api, RECOGNIZE, PICTURE)
    assert (error(answer), answer.headers["retry-after"]) == ((429, "resource_exhausted", "THROTTLED"), "2")


async def test_streams_end_with_the_error(api: Stage) -> None:
    """A stream that fails ends with the error and its details."""
    for name in NAMES:
        api.fail(name, Throttled("Too many.", retry_after=3))
    answer = await post(api, STREAM, envelope(json.dumps(PICTURE).encode()), content_type="application/connect+json")
    flags, end = envelopes(answer.content)[-1]
    assert (answer.status_code, flags, json.loads(end)["error"]["code"]) == (200, 2, "resource_exhausted")
    assert json.loads(end)["error"]["details"][0]["debug"]["reason"] == "THROTTLED"


@pytest.mark.parametrize(
    ("size", "headers", "reason"),
    [
        (0, {"authorization": "Basic YTpi"}, "TOKEN_INVALID"),
        (0, {"origin": "https://other.example"}, "FOREIGN_REQUEST"),
        (0, {"connect_timeout_ms": "x"}, "INVALID_REQUEST"),
        (23 << 20, {}, "REQUEST_ENTITY_TOO_LARGE"),
    ],
)
async def test_refused_streams_say_why(api: Stage, size: int, headers: dict[str, str], reason: str) -> None:
    """What is refused before it is a call ends a stream, too: its clients read no body beside another status."""
    answer = await post(api, STREAM, bytes(size), content_type="application/connect+json", **headers)
    ((flags, end),) = envelopes(answer.content)
    content = json.loads(end)["error"]
    assert (answer.status_code, flags, content["details"][0]["debug"]["reason"]) == (200, 2, reason)
    web = await post(api, STREAM, bytes(size), content_type="application/grpc-web+proto", **headers)
    ((flags, trailers),) = envelopes(web.content)
    lines = dict(line.split(": ", 1) for line in trailers.decode().splitlines())
    refused = status_pb2.Status.FromString(base64.b64decode(lines["grpc-status-details-bin"] + "=="))
    assert (web.status_code, flags, int(lines["grpc-status"])) == (200, 0x80, refused.code)
    assert unquote(lines["grpc-message"]) == refused.message == content["message"]


@pytest.mark.parametrize(
    ("method", "path", "kind", "status"),
    [
        ("GET", RECOGNIZE, "application/json", 405),
        ("PUT", RECOGNIZE, "application/json", 405),
        ("POST", RECOGNIZE, "application/x-www-form-urlencoded", 415),
        ("POST", RECOGNIZE, "", 415),
        ("POST", RECOGNIZE, "application/connect+json", 415),
        ("POST", RECOGNIZE, "application/grpc", 415),
        ("POST", STREAM, "application/json", 415),
        ("POST", "/marquee.v1.RecognizerService/Nothing", "application/json", 501),
        ("POST", "/marquee.v1.Nothing/RecognizeImage", "application/json", 501),
        ("POST", "/marquee.v2.RecognizerService/RecognizeImage", "application/json", 501),
    ],
)
async def test_what_is_no_call_is_refused_in_words(api: Stage, method: str, path: str, kind: str, status: int) -> None:
    """What is no call at all gets JSON that says so, with HTTP's own status."""
    async with httpx.AsyncClient(base_url=api.url, timeout=PATIENCE, trust_env=False) as client:
        answer = await client.request(method, path, content=b"{}", headers={"content-type": kind})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert len(answer.json()["message"]) > 10


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"content_encoding": "br"}, (501, "unimplemented", "NOT_OFFERED")),
        ({"content_encoding": "gzip"}, (400, "invalid_argument", "MALFORMED_REQUEST")),
        ({"connect_protocol_version": "2"}, (400, "invalid_argument", "INVALID_REQUEST")),
        *(
            ({"connect_timeout_ms": text}, (400, "invalid_argument", "INVALID_REQUEST"))
            for text in ("soon", "-1", "+1", "1.5", "1_0", "1" * 11)
        ),
    ],
)
async def test_headers_that_make_no_sense_are_refused(
    api: Stage, headers: dict[str, str], expected: tuple[int, str, str]
) -> None:
    """Headers of the protocol that cannot be kept are errors in Connect's JSON, in words of ours."""
    answer = await call(api, RECOGNIZE, PICTURE, **headers)
    assert error(answer) == expected
    assert "Error -3" not in answer.text


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "NOT_OFFERED"),
        (b"\0\0", "MALFORMED_REQUEST"),
        (b"\0\0\0\1\0{}", "MALFORMED_REQUEST"),
        (b"\0\xff\xff\xff\xff{}", "REQUEST_ENTITY_TOO_LARGE"),
        (envelope(b"{}", 1), "MALFORMED_REQUEST"),
        (envelope(b"{}", 2), "MALFORMED_REQUEST"),
        (envelope(b"{}", 0x80), "MALFORMED_REQUEST"),
        (envelope(json.dumps(PICTURE).encode()) * 2, "NOT_OFFERED"),
    ],
)
async def test_envelopes_that_make_no_sense_are_refused(api: Stage, body: bytes, reason: str) -> None:
    """A stream's request that is not one envelope ends with the caller's error, and its reason."""
    answer = await post(api, STREAM, body, content_type="application/connect+json")
    ((flags, end),) = envelopes(answer.content)
    content = json.loads(end)["error"]
    assert (answer.status_code, flags, content["details"][0]["debug"]["reason"]) == (200, 2, reason)
    assert content["code"] in {"invalid_argument", "unimplemented", "resource_exhausted"}


async def test_headers_with_other_letters_are_left_alone(api: Stage) -> None:
    """A header in any encoding, which the protocol has nothing to do with, changes nothing."""
    async with httpx.AsyncClient(base_url=api.url, timeout=PATIENCE, trust_env=False) as client:
        answer = await client.post(RECOGNIZE, json=PICTURE, headers=[(b"x-name", b"Zo\xeb")])
    assert answer.status_code == 200


async def test_deadlines_go_to_the_recognizers(api: Stage) -> None:
    """The caller's deadline counts behind the gateway: who does not make it is a result with TIMEOUT."""
    api.recognizers["svm"].seconds = 60
    answer = (await call(api, RECOGNIZE, PICTURE, connect_timeout_ms="3000")).json()
    outcomes = {one["recognizer"]: one["outcome"] for one in answer["results"]}
    assert (outcomes["svm"], outcomes["keras"]) == ("OUTCOME_TIMEOUT", "OUTCOME_OK")


async def test_a_deadline_that_has_passed_is_said(api: Stage) -> None:
    """A call without time left is deadline_exceeded."""
    answer = await call(api, RECOGNIZE, PICTURE, connect_timeout_ms="0")
    assert error(answer) == (504, "deadline_exceeded", "OUT_OF_TIME")


@pytest.mark.parametrize("path", [RECOGNIZE, STREAM])
async def test_a_client_that_goes_cancels_the_call(api: Stage, path: str) -> None:
    """When the client goes away the recognizers stop."""
    slow = api.recognizers["svm"]
    slow.until = lambda: False
    is_stream = path == STREAM
    body = json.dumps(PICTURE).encode()
    calling = asyncio.create_task(
        post(
            api,
            path,
            envelope(body) if is_stream else body,
            content_type="application/connect+json" if is_stream else "application/json",
        )
    )
    await until(lambda: slow.calls)
    calling.cancel()
    await until(lambda: slow.cancelled)


async def test_a_client_that_goes_while_it_sends_is_no_error(api: Stage, folder: Path) -> None:
    """A client that leaves in the middle of its request is a line in the log, and no error of ours."""

    def events() -> list[str]:
        lines = [json.loads(line) for line in (folder / "log").read_text().rpartition("\n")[0].splitlines()]
        return [line["event"] for line in lines if line.get("request_id") == "leaving"]

    address = api.url.removeprefix("http://")
    _, client = await asyncio.open_connection(*address.split(":"))
    head = f"POST {RECOGNIZE} HTTP/1.1\r\nHost: {address}\r\nX-Request-Id: leaving\r\nContent-Length: 9\r\n"
    client.write(f"{head}Content-Type: application/json\r\n\r\n{{".encode())
    await client.drain()
    client.close()
    await until(lambda: "request" in events())
    assert events() == ["request"]


async def test_compressed_calls_are_read(api: Stage) -> None:
    """A body may be compressed, and so is the answer for who asks."""
    body = gzip.compress(json.dumps(PICTURE).encode())
    answer = await post(api, RECOGNIZE, body, content_type="application/json", content_encoding="gzip")
    assert (answer.status_code, answer.headers["content-encoding"]) == (200, "gzip")
    assert answer.json()["results"]


@pytest.mark.parametrize("path", [RECOGNIZE, STREAM])
async def test_bombs_are_refused(api: Stage, path: str) -> None:
    """What would be more than the limit once it is unpacked never is."""
    bomb = gzip.compress(bytes(64 << 20), 9)
    is_stream = path == STREAM
    answer = await post(
        api,
        path,
        envelope(bomb, 1) if is_stream else bomb,
        content_type="application/connect+json" if is_stream else "application/json",
        **{"connect_content_encoding" if is_stream else "content_encoding": "gzip"},
    )
    content: Any = json.loads(envelopes(answer.content)[-1][1])["error"] if is_stream else answer.json()
    assert content["code"] == "resource_exhausted"


async def test_the_largest_picture_fits(api: Stage) -> None:
    """15 MiB in base64 are taken; a picture over that is refused by name."""
    content = picture() + bytes(MAX_IMAGE_BYTES - len(picture()))
    answers = [
        await call(api, RECOGNIZE, {"image": {"content": base64.b64encode(one).decode()}, "recognizers": ["svm"]})
        for one in (content, content + b"0")
    ]
    assert answers[0].status_code == 200
    assert error(answers[1])[1:] == ("invalid_argument", "IMAGE_TOO_LARGE")


async def test_a_body_over_the_limit_is_refused(api: Stage) -> None:
    """A body that no request needs is refused as too large, in Connect's JSON."""
    answer = await post(api, RECOGNIZE, bytes(23 << 20), content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (413, "resource_exhausted")
