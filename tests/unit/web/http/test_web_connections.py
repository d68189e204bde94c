"""Connections that begin something and do not finish it are let go, and no one's keep others out."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from services.runtime.limits import MIB
from services.web.http.connections import Connection
from tests.support.http import chunk, connected, head, serving
from tests.support.servers import until


class Hasty(Connection):
    """A connection with little time."""

    head_seconds = 0.2
    stall_seconds = 0.2


class Few(Connection):
    """A connection beside two more."""

    most = 3
    head_seconds = 60.0


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await Request(scope, receive).body()
    await PlainTextResponse("hello")(scope, receive, send)


@pytest.mark.parametrize("beginning", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: a"])
async def test_head_that_does_not_come_ends_the_connection(beginning: bytes) -> None:
    """A connection on which no request begins, or none goes on, is closed."""
    async with serving(hello, connection=Hasty) as port, connected(port) as client:
        await client.send(beginning)
        assert await client.rest() == b""


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    words = (scope["raw_path"], scope["query_string"], Headers(scope=scope)["host"].encode())
    await PlainTextResponse(b" ".join(words))(scope, receive, send)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("http://a.example/b%20c?d=http://e/", "/b%20c d=http://e/ a.example"),
        ("HTTPS://a.example:8080?d", "/ d a.example:8080"),
        ("http://[::1]:8080", "/  [::1]:8080"),
        ("http://user@a.example/", "/  user@a.example"),
        ("/http://a.example/", "/http://a.example/  localhost"),
        ("http:///b", "http:///b  localhost"),
    ],
)
async def test_target_that_is_a_url_names_the_host(target: str, expected: str) -> None:
    """A request as for a proxy is one for the URL's path at the URL's host, whatever its header Host says."""
    async with serving(echo) as port, connected(port) as client:
        await client.send(head(target, "GET", connection="close"))
        assert (await client.rest()).endswith(b"\r\n\r\n" + expected.encode())


async def test_dripping_head_ends_the_connection() -> None:
    """A head that comes letter by letter is not waited for longer."""
    async with serving(hello, connection=Hasty) as port, connected(port) as client:
        for letter in b"GET / HTTP/1.1\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaa":
            await client.send(bytes([letter]))
            await asyncio.sleep(0.02)
        assert client.reader.at_eof() or client.reader.exception()


async def test_next_head_that_does_not_come_ends_the_connection() -> None:
    """A connection that is kept open may wait between requests, but not within the head of one."""
    async with serving(hello, connection=Hasty) as port, connected(port) as client:
        await client.send(head(method="GET"))
        assert await client.answer() == (200, b"hello")
        await asyncio.sleep(2 * Hasty.head_seconds)
        await client.send(head(method="GET"))
        assert await client.answer() == (200, b"hello")
        await client.send(b"GET / HT")
        assert await client.rest() == b""


async def test_answer_that_nobody_reads_ends_the_connection() -> None:
    """A client that does not read is let go, and the application with it."""
    ended = asyncio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        async def pieces() -> object:
            while True:
                yield bytes(MIB)
                await asyncio.sleep(0)

        try:
            await StreamingResponse(pieces())(scope, receive, send)
        finally:
            ended.set()

    async with serving(endless, connection=Hasty) as port, connected(port) as client:
        await client.send(head(method="GET"))
        async with asyncio.timeout(60):
            await ended.wait()


async def test_waiting_connections_give_way_to_another_address() -> None:
    """With all connections taken by one address that waits, its oldest ends, and a visitor gets theirs."""
    async with (
        serving(hello, connection=Few) as port,
        AsyncExitStack() as stack,
    ):
        waiting = [await stack.enter_async_context(connected(port, "127.0.0.2")) for _ in range(3)]
        visitors = [await stack.enter_async_context(connected(port)) for _ in range(2)]
        for visitor in visitors:
            await visitor.send(head(method="GET"))
            assert await visitor.answer() == (200, b"hello")
        assert await waiting[0].rest() == b""
        assert await waiting[1].rest() == b""
        await waiting[2].send(head(method="GET"))
        assert await waiting[2].answer() == (200, b"hello")


async def test_busy_connections_give_way_to_another_address() -> None:
    """With all connections taken by one address whose requests do not end, its oldest gives way to a visitor."""
    begun = []

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append(scope)
        if scope["path"] == "/wait":
            while (await receive())["type"] != "http.disconnect":
                pass
        await hello(scope, receive, send)

    async with serving(endless, connection=Few) as port, AsyncExitStack() as stack:
        busy = [await stack.enter_async_context(connected(port, "127.0.0.2")) for _ in range(3)]
        for count, client in enumerate(busy, 1):
            await client.send(head("/wait", "GET"))
            await until(lambda count=count: len(begun) == count)
        visitor = await stack.enter_async_context(connected(port))
        await visitor.send(head(method="GET"))
        assert await visitor.answer() == (200, b"hello")
        assert await busy[0].rest() == b""


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000,
        b"GET / HTTP/1.1\r\nHost: a\r\nX\x00: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        head(transfer_encoding="chunked", content_length="4") + b"0\r\n\r\n",
        head(transfer_encoding="chunked") + b"no hexadecimal number\r\n",
        head(transfer_encoding="chunked") + chunk(b"a") * 5000,
    ],
)
async def test_what_is_no_http_is_refused(data: bytes) -> None:
    """Malformed requests, and bodies in thousands of tiny pieces, get 400, and the connection ends."""
    async with serving(hello) as port, connected(port) as client:
        await client.send(data)
        assert (await client.rest()).startswith(b"HTTP/1.1 4")
