"""Bodies of requests are bounded in size, time and memory, and each refusal arrives."""

import asyncio
import hashlib
from contextlib import AsyncExitStack

import pytest
from prometheus_client import REGISTRY
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from services.runtime.errors import Overloaded
from services.runtime.limits import MIB
from services.web.http.bodies import Bounds
from tests.support.http import ROOMY, Client, chunk, connected, head, serving
from tests.support.servers import until

GIB = 1024 * MIB
CHUNKED = {"transfer_encoding": "chunked"}


class House:
    """An application that tells the digest of a body, once `open` is set."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.bodies = 0
        paths = ("/", "/recognize", "/v1/recognize", "/marquee.v1.RecognizerService/RecognizeImage")
        self.app = Starlette(
            routes=[*(Route(path, self._digest, methods=["POST"]) for path in paths), Route("/page", _page)],
            exception_handlers={Overloaded: _busy},
        )

    async def _digest(self, request: Request) -> PlainTextResponse:
        digest = hashlib.sha256()
        async for piece in request.stream():
            digest.update(piece)
        self.bodies += 1
        await self.open.wait()
        return PlainTextResponse(digest.hexdigest())


async def _page(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.method)


async def _busy(request: Request, error: Exception) -> PlainTextResponse:
    del request
    return PlainTextResponse(str(error), 429)


async def _upload(client: Client, size: int, path: str = "/recognize") -> None:
    await client.send(head(path, content_length=size) + bytes(size))


async def _stall(client: Client, count: int) -> None:
    """Begin an upload that does not go on, as the one with this number."""
    await client.send(head("/recognize", content_length=MIB) + b"a")
    await until(lambda: _in_flight() == count)


def _in_flight() -> float | None:
    return REGISTRY.get_sample_value("marquee_uploads_in_flight")


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 3 * MIB + 1])
@pytest.mark.parametrize("kind", ["image/jpeg", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_body_arrives_as_it_was_sent(size: int, kind: str, framing: str) -> None:
    """A body arrives byte by byte, whatever its size, type and framing."""
    body = (hashlib.sha256(b"%d" % size).digest() * (size // 32 + 1))[:size]
    fields, sent = {"content_length": size}, body
    if framing == "chunks":
        fields, sent = CHUNKED, b"".join(chunk(body[i : i + MIB]) for i in range(0, size, MIB)) + chunk(b"")
    async with serving(House().app) as port, connected(port) as client:
        await client.send(head("/v1/recognize", content_type=kind, **fields) + sent)
        assert await client.answer() == (200, hashlib.sha256(body).hexdigest().encode())


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("/", 64 * 1024 + 1),
        ("/recognize", 16 * MIB + 1),
        ("/v1/recognize", GIB),
        ("/marquee.v1.RecognizerService/RecognizeImage", 22 * MIB + 1),
    ],
)
async def test_large_body_is_refused_before_it_is_read(path: str, size: int) -> None:
    """A body whose length is over its path's limit is refused at once, although the client goes on sending."""
    async with serving(House().app) as port, connected(port) as client:
        await client.send(head(path, content_length=size) + bytes(60_000))
        status, text = await client.answer()
        assert status == 413
        assert b"large" in text


async def test_refusal_reaches_a_client_that_reads_only_after_sending() -> None:
    """A client that sends all of a body that is too large before it reads gets the answer, not a reset."""
    async with serving(House().app) as port, connected(port) as client:
        await _upload(client, 30 * MIB)
        assert (await client.answer())[0] == 413
        assert await client.rest() == b""


async def test_large_chunked_body_is_refused_while_it_is_read() -> None:
    """A body without a length is refused once it is over the limit."""
    async with serving(House().app) as port, connected(port) as client:
        await client.send(head("/recognize", **CHUNKED))
        for _ in range(17):
            await client.send(chunk(bytes(MIB)))
        assert (await client.answer())[0] == 413


async def test_endless_body_ends() -> None:
    """A client that sends a gigabyte is cut off after 64 MiB."""
    async with serving(House().app) as port, connected(port) as client:
        await client.send(head("/recognize", content_length=GIB))
        for _ in range(200):
            await client.send(bytes(MIB))
        assert client.reader.at_eof() or client.reader.exception()


async def test_body_that_nobody_reads_does_not_hold_the_connection() -> None:
    """A page that reads no body answers, and the connection ends."""
    async with serving(House().app) as port, connected(port) as client:
        await client.send(head("/page", "GET", content_length=MIB) + bytes(1000))
        assert await client.answer() == (200, b"GET")
        await client.send(bytes(MIB - 1000))
        assert await client.rest() == b""


@pytest.mark.parametrize(
    "bounds", [Bounds(memory=GIB, stall=0.1), Bounds(memory=GIB, receipt=0.1)], ids=["pause", "total"]
)
@pytest.mark.parametrize("framing", [{"content_length": 1000}, CHUNKED], ids=["length", "chunks"])
async def test_slow_sender_is_refused(bounds: Bounds, framing: dict[str, object]) -> None:
    """A body that pauses, or takes too long in all, is refused in words."""
    async with serving(House().app, bounds) as port, connected(port) as client:
        await client.send(head("/recognize", **framing) + chunk(b"a"))
        status, text = await client.answer()
        assert (status, b"in time" in text) == (408, True)


@pytest.mark.parametrize(("size", "encoding"), [(MIB, "identity"), (1000, "gzip")])
async def test_upload_waits_for_memory_and_is_then_refused(size: int, encoding: str) -> None:
    """Uploads beyond the memory wait a little, then are told that there are many; small requests are not held up.

    Those that are compressed count as they may be once they are not.
    """
    house = House()
    house.open.clear()
    async with (
        serving(house.app, Bounds(memory=MIB, wait=0.1)) as port,
        connected(port) as first,
        connected(port) as second,
        connected(port) as small,
    ):
        await _upload(first, MIB)
        await until(lambda: house.bodies == 1)
        await second.send(head("/recognize", content_length=size, content_encoding=encoding) + bytes(size))
        status, text = await second.answer()
        assert (status, b"Try again" in text) == (429, True)
        await until(lambda: _in_flight() == 1)
        await _upload(small, 1000)
        await until(lambda: house.bodies == 2)
        house.open.set()
        assert ((await first.answer())[0], (await small.answer())[0]) == (200, 200)


async def test_upload_that_waits_goes_on_when_another_ends() -> None:
    """An upload that waits is answered once there is memory, and so is one whose forerunner's client has gone."""
    house = House()
    house.open.clear()
    async with serving(house.app, Bounds(memory=MIB, wait=60)) as port, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(port)) for _ in range(3)]
        for client in clients:
            await _upload(client, MIB)
        await until(lambda: house.bodies == 1)
        house.open.set()
        assert [(await client.answer())[0] for client in clients] == [200, 200, 200]


async def test_stalled_uploads_give_way_to_another_address() -> None:
    """Uploads that stall, from one address, keep nobody else from uploading: the oldest gives way, in words."""
    bounds = Bounds(memory=GIB, receipts=3)
    async with serving(House().app, bounds) as port, AsyncExitStack() as stack:
        stalled = [await stack.enter_async_context(connected(port, "127.0.0.2")) for _ in range(3)]
        for count, client in enumerate(stalled, 1):
            await _stall(client, count)
        visitor = await stack.enter_async_context(connected(port))
        await _upload(visitor, 1000)
        assert (await visitor.answer())[0] == 200
        assert (await stalled[0].answer())[0] == 429
        await stalled[1].send(bytes(MIB - 1))
        assert (await stalled[1].answer())[0] == 200


@pytest.mark.parametrize("slow", [0, 60])
async def test_upload_beyond_those_that_are_received_takes_the_place_of_a_slow_one(slow: float) -> None:
    """With all places taken from one address, a slow upload gives way; if none is slow, the next one is refused."""
    bounds = Bounds(memory=GIB, receipts=1, slow=slow)
    async with serving(House().app, bounds) as port, connected(port) as first, connected(port) as second:
        await _stall(first, 1)
        await _upload(second, 1000)
        assert (await second.answer())[0] == (429 if slow else 200)


async def test_client_that_leaves_frees_its_memory() -> None:
    """A client that goes while it sends, or while it waits for the answer, leaves nothing behind."""
    house = House()
    async with serving(house.app, Bounds(memory=MIB, wait=0.1, receipts=1)) as port:
        for _ in range(3):
            async with connected(port) as client:
                await client.send(head("/recognize", content_length=MIB) + b"a")
        async with connected(port) as client:
            await _upload(client, MIB)
            assert (await client.answer())[0] == 200


async def test_client_that_waits_to_be_asked_is_answered_at_once() -> None:
    """A client that asks whether to send a body that is too large gets the refusal instead."""
    async with serving(House().app, ROOMY) as port, connected(port) as client:
        await client.send(head("/recognize", content_length=GIB, expect="100-continue"))
        assert (await client.answer())[0] == 413
        assert await client.rest() == b""
