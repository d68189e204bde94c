"""The paths for curl: a file in, JSON or server-sent events out."""

import asyncio
import base64
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.limits import MAX_IMAGE_BYTES
from tests.support.processes import PATIENCE
from tests.support.servers import Scripted, picture, until
from tests.support.stage import Stage, stage
from tests.support.web import recognizing, web

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

FILE, EVENTS = "/v1/recognize", "/v1/recognize/stream"
NAMES = ["keras", "rekognition", "svm"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage(tmp_path_factory.mktemp("files"), web_cors_origins="https://app.example") as here:
        yield here


@pytest.fixture
def api(served: Stage) -> Stage:
    served.reset()
    return served


@pytest.fixture(scope="module")
def jpeg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "x.jpg"
    path.write_bytes(picture())
    return path


async def ask(api: Stage, method: str, path: str, **parts: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=api.url, timeout=PATIENCE, trust_env=False) as client:
        return await client.request(method, path, **parts)


async def send(api: Stage, path: str = FILE, **parts: Any) -> httpx.Response:
    return await ask(api, "POST", path, **({"files": {"image": picture()}} | parts))


def names(content: Any) -> list[str]:
    return sorted(one["recognizer"] for one in content["results"])


def events(text: str) -> list[tuple[str, Any]]:
    """Return the name and the data of each event, without comments."""
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    return [(name[7:], json.loads(data[6:])) for name, data in (block.split("\n") for block in blocks)]


@pytest.mark.parametrize("program", [["-F", "image=@{}"], ["--data-binary", "@{}"], ["-T", "{}", "-X", "POST"]])
async def test_curl_just_works(api: Stage, jpeg: Path, program: list[str]) -> None:
    """Each way in which curl sends a file is understood, without a header."""
    arguments = [part.format(jpeg) for part in program]
    done = await asyncio.to_thread(
        subprocess.run,
        ["curl", "-sS", "--noproxy", "*", *arguments, f"{api.url}{FILE}"],
        capture_output=True,
        check=True,
    )
    assert names(json.loads(done.stdout)) == NAMES


async def test_a_file_gets_what_connect_gives(api: Stage) -> None:
    """The JSON is that of RecognizeImage, but for what differs between any two calls."""
    body = {"image": {"content": base64.b64encode(picture()).decode()}}
    one = (await ask(api, "POST", "/marquee.v1.RecognizerService/RecognizeImage", json=body)).json()
    other = (await send(api)).json()
    for content in (one, other):
        del content["requestId"], content["timings"]
        for result in content["results"]:
            del result["timings"]
    assert one == other


@pytest.mark.parametrize("kind", ["image/jpeg", "image/anything", "application/octet-stream", "IMAGE/JPEG; a=b"])
async def test_the_body_may_be_the_picture(api: Stage, kind: str) -> None:
    """A body of a picture's type, or of none in particular, is the picture."""
    answer = await ask(api, "POST", FILE, content=picture(), headers={"content-type": kind})
    assert names(answer.json()) == NAMES


@pytest.mark.parametrize(
    ("query", "form"),
    [
        ({"recognizers": "svm,keras", "max_labels": "3", "features": "celebrities,LABELS", "no_cache": "true"}, {}),
        ({"recognizers": ["svm", "keras"], "maxLabels": "3", "features": ["FEATURE_CELEBRITIES", "labels"]}, {}),
        ({}, {"recognizers": ["svm", "keras"], "max_labels": "3", "features": "celebrities", "policy": "all"}),
        ({"policy": "cascade", "required": "svm,keras"}, {"recognizers": "svm,keras", "max_labels": "3"}),
        ({"recognizers": "svm"}, {"recognizers": "keras", "max_labels": "3", "features": ""}),
        ({"recognizers": "svm,keras", "max_labels": "3", "recognizer_options": '{"svm": {"timeout": "5s"}}'}, {}),
    ],
)
async def test_options_are_the_contracts_fields(api: Stage, query: dict[str, Any], form: dict[str, Any]) -> None:
    """Options stand in the query or in the form, under the names of the contract; enums have short names, too."""
    answer = await send(api, params=query, data=form)
    assert names(answer.json()) == ["keras", "svm"]
    assert api.recognizers["svm"].calls[0].max_labels == 3
    assert pb.FEATURE_CELEBRITIES in api.recognizers["svm"].calls[0].features


@pytest.mark.parametrize(
    ("parts", "status", "words"),
    [
        ({"params": {"feature": "labels"}}, 400, "There is no option 'feature'; known: request_id, recognizers"),
        ({"data": {"feature": "labels"}}, 400, "There is no option 'feature'"),
        ({"params": {"features": "smiles"}}, 400, "features: smiles is no value of it; use one of: celebrities"),
        ({"params": {"max_labels": "many"}}, 400, "max_labels: many"),
        ({"params": {"no_cache": "perhaps"}}, 400, "no_cache: perhaps"),
        ({"params": {"max_labels": "0"}}, 400, "max_labels is 0; it must be 1 to 1000."),
        ({"params": {"recognizers": "x"}}, 400, "There is no recognizer 'x' here"),
        ({"params": {"face_boxes": "[{"}}, 400, "face_boxes: [{"),
        ({"params": {"recognizer_options": '{"svm": {"retries": 1}}'}}, 400, "recognizer_options"),
        ({"params": {"timeout": "soon"}}, 400, "timeout: soon is no value of it; it takes seconds"),
        ({"params": {"timeout": "-1"}}, 400, "it takes seconds"),
        ({"params": {"timeout": "nan"}}, 400, "it takes seconds"),
        ({"params": {"timeout": "1"}, "data": {"timeout": "2"}}, 400, "timeout has several values"),
        ({"params": {"max_labels": ["1", "2"]}}, 400, "max_labels has several values"),
        ({"params": {"recognizer_options": ["{}", "{}"]}}, 400, "recognizer_options has several values"),
        ({"headers": {"connect-timeout-ms": "x"}}, 400, "Connect-Timeout-Ms is 'x'"),
        ({"headers": {"connect-timeout-ms": "+5"}}, 400, "Connect-Timeout-Ms is '+5'"),
        ({"files": {"image": b""}}, 400, "curl -F image=@picture.jpg"),
        ({"files": {"file": picture()}}, 400, "image"),
        ({"files": None, "data": {"image": "x.jpg"}}, 400, "image"),
        ({"files": None}, 400, "curl -F image=@picture.jpg"),
        ({"files": None, "data": {"s3": "https://bucket/key"}}, 400, "is no address of a picture"),
        ({"files": None, "data": {"s3": "s3://bucket/key"}}, 403, "MARQUEE_S3_ALLOWED"),
        ({"files": None, "params": {"s3": "s3://bucket/key"}}, 403, "MARQUEE_S3_ALLOWED"),
        ({"data": {"s3": "s3://bucket/key"}}, 400, "Send a picture or s3, not both."),
        ({"headers": {"content-encoding": "gzip"}}, 415, "Content-Encoding is 'gzip'"),
        ({"files": None, "content": b"text", "headers": {"content-type": "text/plain"}}, 415, "Content-Type is"),
        ({"files": None, "json": {"image": "AAAA"}}, 415, "Content-Type is 'application/json'"),
        ({"files": {"image": bytes(MAX_IMAGE_BYTES + 1)}}, 413, "the limit is 15 MiB"),
        ({"files": None, "content": b"--", "headers": {"content-type": "multipart/form-data"}}, 400, "boundary"),
    ],
)
@pytest.mark.parametrize("path", [FILE, EVENTS])
async def test_what_is_wrong_is_told(api: Stage, path: str, parts: dict[str, Any], status: int, words: str) -> None:
    """Each mistake gets JSON with a code and words that say what to do, before any event."""
    answer = await send(api, path, **parts)
    content = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert words in content["message"]
    assert content["details"][0]["debug"]["domain"] == "marquee"


@pytest.mark.parametrize("boxes", ["[{0}, {1}]", ["{0}", "{1}"], ["[{0}]", "{1}"]], ids=["list", "entries", "both"])
async def test_boxes_are_a_list_or_its_entries(api: Stage, boxes: str | list[str]) -> None:
    """Face boxes stand in one field as a list, or each in its own, as clients made from the description send them."""
    pair = [json.dumps({"left": left, "top": 0.1, "width": 0.5, "height": 0.5}) for left in (0.1, 0.2)]
    given = boxes if isinstance(boxes, list) else [boxes]
    answer = await send(
        api, data={"face_boxes": [one.replace("{0}", pair[0]).replace("{1}", pair[1]) for one in given]}
    )
    assert answer.status_code == 200
    assert [round(box.left, 1) for box in api.recognizers["svm"].calls[0].face_boxes] == [0.1, 0.2]


@pytest.mark.parametrize("path", ["/v1/recognize/", "/v1/recognizers/", "/v1/nothing", "/v1/"])
async def test_other_paths_are_not_there(api: Stage, path: str) -> None:
    """A path with a typing error, a slash at its end too, is 404 in JSON, and leads nowhere else."""
    answer = await send(api, path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "/openapi.json" in answer.json()["message"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_other_methods_say_which_there_is(api: Stage, method: str) -> None:
    """A method that a path does not take is 405, with those that it takes."""
    answer = await ask(api, method, FILE)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_events_come_as_recognizers_answer(api: Stage) -> None:
    """Each result is an event at once; then come the verdicts, and the end."""
    shown = asyncio.Event()
    api.recognizers["svm"].until = shown.is_set
    async with (
        httpx.AsyncClient(base_url=api.url, timeout=PATIENCE, trust_env=False) as client,
        client.stream("POST", EVENTS, files={"image": picture()}) as answer,
    ):
        parts = answer.aiter_text()
        text = await anext(parts)
        shown.set()
        async for part in parts:
            text += part
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    *results, last, done = events(text)
    assert {name for name, _ in results} == {"result"}
    assert sorted(name for _, content in results for name in names(content)) == NAMES
    assert (last[0], bool(last[1]["verdicts"]), done) == ("result", True, ("done", {}))


async def test_comments_keep_the_connection(api: Stage) -> None:
    """While a recognizer takes its time there are comments, which no client reads as events."""
    shown = asyncio.Event()
    api.recognizers["svm"].until = shown.is_set
    text = ""
    async with (
        httpx.AsyncClient(base_url=api.url, timeout=PATIENCE, trust_env=False) as client,
        client.stream("POST", EVENTS, files={"image": picture()}) as answer,
    ):
        async for part in answer.aiter_text():
            text += part
            if "\n: " in text:
                shown.set()
    assert events(text)[-1] == ("done", {})


async def test_an_error_after_the_beginning_is_an_event(tmp_path: Path) -> None:
    """A call that fails once results are there ends with the error as an event, not with done."""
    fast, slow = Scripted("fast"), Scripted("slow", until=lambda: False)
    async with AsyncExitStack() as page, AsyncExitStack() as behind:
        address = await behind.enter_async_context(recognizing(fast, slow))
        url = await page.enter_async_context(web(address, tmp_path / "log"))
        client = await page.enter_async_context(httpx.AsyncClient(base_url=url, timeout=PATIENCE, trust_env=False))
        answer = await page.enter_async_context(client.stream("POST", EVENTS, files={"image": picture()}))
        parts = answer.aiter_text()
        text = await anext(parts)
        await behind.aclose()
        async for part in parts:
            text += part
    (first, _), (last, content) = events(text)
    assert (first, last, content["code"]) == ("result", "error", "unavailable")


async def test_the_deadline_counts(api: Stage) -> None:
    """A recognizer that does not make the deadline, in seconds or in milliseconds, is a result with TIMEOUT."""
    for parts in ({"params": {"timeout": "3.0"}}, {"headers": {"connect-timeout-ms": "3000"}}):
        api.recognizers["svm"].seconds = 60
        outcomes = {one["recognizer"]: one["outcome"] for one in (await send(api, **parts)).json()["results"]}
        assert (outcomes["svm"], outcomes["keras"]) == ("OUTCOME_TIMEOUT", "OUTCOME_OK")


@pytest.mark.parametrize("path", [FILE, EVENTS])
async def test_a_client_that_goes_cancels_the_call(api: Stage, path: str) -> None:
    """When the client goes away the recognizers stop."""
    slow = api.recognizers["svm"]
    slow.until = lambda: False
    calling = asyncio.create_task(send(api, path))
    await until(lambda: slow.calls)
    calling.cancel()
    await until(lambda: slow.cancelled)


async def test_recognizers_are_listed(api: Stage) -> None:
    """GET /v1/recognizers gives what ListRecognizers does."""
    answer = await ask(api, "GET", "/v1/recognizers")
    assert sorted(one["name"] for one in answer.json()["recognizers"]) == NAMES
    assert (await ask(api, "GET", "/v1/recognizers", params={"x": "1"})).status_code == 400
    assert (await ask(api, "GET", "/v1/recognizers", content=bytes(17 << 20))).status_code == 413


async def test_the_description_is_served(api: Stage) -> None:
    """/openapi.json is there for everybody."""
    answer = await ask(api, "GET", "/openapi.json")
    assert (answer.headers["content-type"], answer.json()["openapi"]) == ("application/json", "3.1.0")
