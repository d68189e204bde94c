"""Each request has an ID, one log line and metrics, and ends in an answer without internals."""

import asyncio

import pytest
from prometheus_client import REGISTRY
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from structlog.contextvars import bind_contextvars, get_contextvars
from structlog.testing import capture_logs

from tests.support.http import connected, head, serving
from tests.support.servers import until

SECRET = "s3cret"  # noqa: S105 - what must not show


async def _show(request: Request) -> Response:
    bind_contextvars(caller="ann")
    return PlainTextResponse(f"{get_contextvars()['request_id']} {request.path_params['name']}")


async def _fail(request: Request) -> Response:
    del request
    raise KeyError(SECRET)


async def _break_off(request: Request) -> Response:
    del request

    async def pieces() -> object:
        yield b"a"
        raise KeyError(SECRET)

    return StreamingResponse(pieces())


APP = Starlette(routes=[Route("/people/{name}", _show), Route("/fail", _fail), Route("/break", _break_off)])


async def _get(path: str, method: str = "GET", **headers: str) -> tuple[bytes, list[dict[str, object]]]:
    """Return all that comes back, and the log."""
    with capture_logs() as log:
        async with serving(APP) as port, connected(port) as client:
            await client.send(head(path, method, connection="close", **headers))
            answer = await client.rest()
    return answer, log


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc-1:2.3_X", "abc-1:2.3_X"),
        ("a" * 128, "a" * 128),
        ("", None),
        ("a" * 129, None),
        ("a b", None),
        ("<script>", None),
    ],
)
async def test_request_has_the_id_of_its_sender(given: str, kept: str | None) -> None:
    """The ID is the sender's if it is one that the contract allows, else a new one; the answer shows it."""
    answer, _ = await _get("/people/ann", x_request_id=given)
    shown = next(line for line in answer.split(b"\r\n") if line.startswith(b"x-request-id")).split(b": ")[1].decode()
    assert f"{shown} ann".encode() in answer
    assert kept == shown if kept else given != shown


@pytest.mark.parametrize(
    ("path", "method", "expected"),
    [
        (f"/people/{SECRET}?code={SECRET}", "GET", ("GET", "/people/{name}", 200)),
        (f"/{SECRET}", "GET", ("GET", "unknown", 404)),
        ("/people/a", SECRET.upper(), ("unknown", "/people/{name}", 405)),
        ("/fail", "GET", ("GET", "/fail", 500)),
        ("/break", "GET", ("GET", "/break", 500)),
    ],
)
async def test_request_is_logged_and_counted_by_its_route(
    path: str, method: str, expected: tuple[str, str, int]
) -> None:
    """The one line and the metrics name the route, and never what a client makes up: path, query or method."""
    labels = dict(zip(("method", "route", "code"), map(str, expected), strict=True))
    before = REGISTRY.get_sample_value("marquee_http_requests_total", labels) or 0
    _, log = await _get(path, method)
    lines = [line for line in log if line["event"] == "request"]
    assert [(line["method"], line["route"], line["status"]) for line in lines] == [expected]
    assert REGISTRY.get_sample_value("marquee_http_requests_total", labels) == before + 1
    assert SECRET.lower() not in str(lines).lower()


async def test_failure_shows_its_id_and_nothing_else() -> None:
    """An exception that nobody foresaw is logged once, with its traceback, and the client gets the ID to ask about."""
    answer, log = await _get("/fail", x_request_id="abc")
    assert answer.startswith(b"HTTP/1.1 500")
    assert SECRET.encode() not in answer
    assert [line["event"] for line in log] == ["unforeseen", "request"]
    assert log[0]["exc_info"]


async def test_answer_that_breaks_off_is_no_whole_answer() -> None:
    """An answer whose application fails within it lacks its end, so that nobody takes it for whole."""
    answer, _ = await _get("/break")
    assert answer.endswith(b"1\r\na\r\n")


async def test_client_that_leaves_is_counted_as_gone() -> None:
    """A client that does not wait for its answer is counted under 499, as nginx does."""
    waits = asyncio.Event()

    async def wait(request: Request) -> Response:
        waits.set()
        await request.receive()
        await request.receive()
        return PlainTextResponse("to nobody")

    with capture_logs() as log:
        async with serving(Starlette(routes=[Route("/", wait)])) as port:
            async with connected(port) as client:
                await client.send(head(method="GET"))
                await waits.wait()
            await until(lambda: log)
    assert log[0]["status"] == 499
