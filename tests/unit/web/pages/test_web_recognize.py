"""The Recognize page over HTTP, in front of scripted recognizers."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from marquee.v1 import recognizer_pb2 as pb
from services.runtime import errors
from tests.support.servers import LEFT, NEAR_LEFT, RIGHT, Scripted, box, face, nobody, picture, result, until
from tests.support.web import Page, csrf_token, page, recognizing

EVENTS = {"Accept": "text/html, text/event-stream", "HX-Request": "true"}
HOSTILE = '"><script>alert(1)</script><b hx-get=/x hx-on:click=alert(1) data-hx-get=/x nonce=n hx-nonce=n '


def scripted(name: str, *faces: pb.Face, **options: Any) -> Scripted:
    return Scripted(name, result=result(name, *faces), **options)


@asynccontextmanager
async def site(*recognizers: Scripted, **settings: object) -> AsyncIterator[Page]:
    """Serve the page in front of the recognizers."""
    async with recognizing(*recognizers) as gateway, page(gateway, **settings) as served:
        yield served


async def form(client: httpx.AsyncClient, **fields: str) -> dict[str, Any]:
    """Return what a form with a picture sends."""
    token = csrf_token(await client.get("/"))
    return {"data": {"csrf_token": token} | fields, "files": {"image": ("my <cat>.jpg", picture(), "image/jpeg")}}


async def events(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """Yield the data of each event of a stream."""
    data: list[str] = []
    async for line in lines:
        if line.startswith("data: "):
            data.append(line.removeprefix("data: "))
        elif not line and data:
            yield "\n".join(data)
            data = []


async def asked(client: httpx.AsyncClient, **fields: str) -> list[str]:
    """Ask about a picture as the page's script does; return all events."""
    async with client.stream("POST", "/recognize", headers=EVENTS, **await form(client, **fields)) as response:
        assert response.status_code == httpx.codes.OK
        assert response.headers["content-type"].startswith("text/event-stream")
        return [event async for event in events(response.aiter_lines())]


def states(html: str) -> dict[str, str]:
    """Return the state of each recognizer's card."""
    return dict(re.findall(r'data-recognizer="([^"]*)" data-state="([^"]*)"', html))


def boxes(html: str) -> list[str]:
    """Return the names of the boxes on the picture, from left to right."""
    return re.findall(r'<button type="button" class="box[^>]*aria-label="([^"]*)"', html)


async def test_each_answer_is_shown_as_it_comes() -> None:
    """The first event has all cards pending; each recognizer's fills when it answers, and the last has the verdict."""
    slow_may = asyncio.Event()
    slow = scripted("slow", face(NEAR_LEFT, "Raj", 0.9), until=slow_may.is_set)
    async with site(scripted("fast", face(LEFT, "Raj", 0.93)), slow) as served, served.client() as client:
        sent = await form(client, picture="picture-7")
        async with client.stream("POST", "/recognize", headers=EVENTS, **sent) as response:
            stream = events(response.aiter_lines())
            assert states(await anext(stream)) == {"fast": "pending", "slow": "pending"}
            second = await anext(stream)
            assert states(second) == {"fast": "ok", "slow": "pending"}
            assert boxes(second) == ["Raj, 93 %, 1 of 1 agree, so far"]
            slow_may.set()
            last = [event async for event in stream][-1]
    assert states(last) == {"fast": "ok", "slow": "ok"}
    assert boxes(last) == ["Raj, 93 %, 2 of 2 agree"]
    assert 'data-phase="done"' in last
    assert 'id="picture-7-face-0"' in last


async def test_fragments_carry_nothing_that_htmx_obeys() -> None:
    """No attribute of htmx's and no nonce is in an event, whatever recognizers say; names are text, not markup."""
    hostile = scripted("svm", face(LEFT, HOSTILE))
    hostile.result.labels.add(name=HOSTILE, score=0.9, parents=[HOSTILE])
    hostile.result.warnings.append(HOSTILE)
    hostile.result.model.name = HOSTILE[:100]
    async with site(hostile) as served, served.client() as client:
        last = (await asked(client))[-1]
    tags = re.findall(r"<[a-z][^>]*>", re.sub(r'"[^"]*"', '""', last))
    assert tags
    assert not [tag for tag in tags if re.search(r"\s(data-)?hx-|nonce|\son\w+=|\sstyle=", tag)]
    assert "<script" not in last
    assert "&lt;script&gt;" in last


async def test_a_visitor_who_leaves_ends_the_call() -> None:
    """When the visitor goes away in the middle, the recognizers stop working for them."""
    endless = scripted("endless", until=lambda: False)
    async with site(endless) as served, served.client() as client:
        async with client.stream("POST", "/recognize", headers=EVENTS, **await form(client)) as response:
            stream = events(response.aiter_lines())
            await anext(stream)
            await until(lambda: endless.calls)
        await until(lambda: endless.cancelled)


async def test_failures_come_in_words() -> None:
    """A recognizer that fails does so in its card; if all do, the picture has the reason, and what each said."""
    bad = errors.InvalidImage("It is not a picture.")
    async with site(scripted("svm", error=bad), scripted("keras", error=bad)) as served, served.client() as client:
        last = (await asked(client))[-1]
    assert states(last) == {"svm": "error", "keras": "error"}
    assert 'data-phase="failed"' in last
    assert "Send JPEG, PNG or WebP." in last
    assert "It is not a picture." in last


async def test_a_gateway_that_is_away_is_told_in_words() -> None:
    """The page comes up without its gateway, says so, and says it again of a picture."""
    async with page(nobody()) as served, served.client() as client:
        first = await client.get("/")
        last = (await asked(client))[-1]
    assert first.is_success
    for html in (first.text, last):
        assert re.search(r"cannot be reached|Nobody answers|Away", html)
        assert "127.0.0.1" not in html
    assert 'data-phase="failed"' in last


async def test_options_reach_the_recognizers() -> None:
    """What is ticked and chosen is what is asked for, of whom it is asked."""
    svm, keras = scripted("svm"), scripted("keras")
    keras.result.labels.extend([pb.Label(name="Boat", score=0.9), pb.Label(name="Sea", score=0.4)])
    async with site(svm, keras) as served, served.client() as client:
        last = (await asked(client, features="labels", recognizers="keras", max_labels="3", min_score="0.5"))[-1]
    assert states(last) == {"keras": "ok"}
    assert not svm.calls
    [options] = keras.calls
    assert (options.features, options.max_labels) == ((pb.FEATURE_LABELS,), 3)
    assert ("Boat" in last, "Sea" in last) == (True, False)


@pytest.mark.parametrize(
    ("sent", "code", "told"),
    [
        ({"files": {"image": ("", b"")}}, 400, "Send a picture."),
        ({"data": {"s3": "http://x/y"}, "files": {"x": ("", b"")}}, 400, "no address of a picture"),
        ({"data": {"max_labels": "many"}, "files": {"image": ("a.jpg", picture())}}, 400, "max_labels"),
    ],
)
async def test_what_cannot_be_asked_is_refused_in_words(sent: dict[str, Any], code: int, told: str) -> None:
    """Scripts get a fragment with the reason, people without scripts the page again with it."""
    async with site(scripted("svm")) as served, served.client() as client:
        data = {"csrf_token": csrf_token(await client.get("/"))} | sent.get("data", {})
        fragment = await client.post("/recognize", headers=EVENTS, **sent | {"data": data})
        whole = await client.post("/recognize", **sent | {"data": data})
    assert (fragment.status_code, whole.status_code) == (code, code)
    assert told in fragment.text
    assert told in whole.text
    assert "<html" not in fragment.text
    assert 'id="ask"' in whole.text


async def test_without_scripts_the_page_comes_whole() -> None:
    """A form without scripts gets the picture, its boxes placed by a style of the page's nonce, cards and verdict."""
    boat = scripted("svm", face(LEFT, "Raj", 0.93), face(RIGHT))
    boat.result.labels.add(name="Boat", score=0.9).instances.add(box=box(RIGHT), score=0.8)
    async with site(boat) as served, served.client() as client:
        response = await client.post("/recognize", **await form(client))
    html = response.text
    assert response.is_success
    assert boxes(html) == ["Raj, 93 %, 1 of 1 agree", "Unknown face"]
    encoded = re.search(r'src="data:image/jpeg;base64,([^"]*)"', html)
    assert encoded
    assert base64.b64decode(encoded[1]) == picture()
    nonce = re.search(r"style-src 'nonce-([^']+)'", response.headers["content-security-policy"])
    assert nonce
    style = html.partition(f'<style nonce="{nonce[1]}">')[2].partition("</style>")[0]
    assert "#picture-face-0{left:10.0%;top:20.0%;width:20.0%;height:30.0%}" in style
    assert "my &lt;cat&gt;.jpg" in html
    assert " style=" not in html


async def test_no_other_file_is_shown_as_a_picture() -> None:
    """What is neither JPEG, PNG nor WebP is not sent back to the browser."""
    svm = scripted("svm", error=errors.InvalidImage("It is not a picture."))
    async with site(svm) as served, served.client() as client:
        sent = await form(client) | {"files": {"image": ("x.jpg", b"<svg onload=alert(1)>", "image/jpeg")}}
        response = await client.post("/recognize", **sent)
    assert response.status_code == httpx.codes.BAD_REQUEST
    assert "data:" not in response.text.partition("<main")[2].partition("<template")[0]
    assert "onload" not in response.text


async def test_ids_of_pictures_are_the_pages_own() -> None:
    """A key that is none of the page's becomes no part of its markup."""
    async with site(scripted("svm", face(LEFT))) as served, served.client() as client:
        last = (await asked(client, picture='"><b>'))[-1]
    assert 'id="picture-face-0"' in last
    assert "<b>" not in last
