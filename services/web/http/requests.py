"""Requests: each has an ID, bounds, one log line, metrics and a span, and ends in an answer."""

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from prometheus_client import Counter, Gauge, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars

from services.runtime import requests
from services.runtime.doors.settings import netloc
from services.runtime.errors import InvalidRequest
from services.runtime.server.metrics import BUCKETS
from services.runtime.server.tracing import Span, request_span
from services.web.http.bodies import Body, Bounds, Receipts, Room

logger = structlog.get_logger()
_METHODS = frozenset(("GET", "HEAD", "POST", "OPTIONS"))
_QUIET = frozenset(("/static/{name}", "/livez", "/readyz"))
_UNTRACED = tuple(route.partition("{")[0] for route in _QUIET)
"""Beginnings of their paths: which route it is, is known when the request has been answered."""
_OTHER = "unknown"
_CLIENT_GONE = 499
_STOPPING = "The server is stopping. Try again in a moment."
_requests = Counter("marquee_http_requests", "Total HTTP requests, by status.", ("method", "route", "code"))
_seconds = Histogram(
    "marquee_http_request_duration_seconds",
    "Duration of HTTP requests until all of the answer is sent, in seconds.",
    ("method", "route"),
    buckets=BUCKETS,
)
_in_flight = Gauge("marquee_http_requests_in_flight", "HTTP requests that are being answered.")


class Requests:
    """ASGI application around another."""

    def __init__(self, app: ASGIApp, bounds: Bounds) -> None:
        self._app = app
        self._room = Room(bounds)
        self._receipts = Receipts(bounds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        clear_contextvars()
        request_id = _request_id(scope)
        bind_contextvars(request_id=request_id, caller=None, peer=_peer(scope))
        body = Body(scope, receive, self._room, self._receipts)
        answer = _Answer(request_id, body, send)
        try:
            with _observed(scope, body, answer):
                await _run(self._app, scope, body, answer)
        finally:
            await body.close()


class _Answer:
    """What is sent, in place of ASGI's `send`."""

    def __init__(self, request_id: str, body: Body, send: Send) -> None:
        self.request_id = request_id
        self.status = _CLIENT_GONE
        self.size = 0
        self.has_begun = False
        self.is_complete = False
        self.is_event_stream = False
        self._body = body
        self._send = send

    async def send(self, message: Message) -> None:
        """Send the next part. A client that is still sending reads the answer first: that is its last on the line."""
        if message["type"] == "http.response.start":
            self._begin(message)
            await self._send(message)
            return
        self.size += len(message.get("body", b""))
        is_last = not message.get("more_body", False)
        self.is_complete = is_last and not self._body.has_client_gone
        if is_last and self._body.is_left:
            await self._send({**message, "more_body": True})
            await self._body.linger()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    def _begin(self, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        headers["X-Request-Id"] = self.request_id
        if self._body.is_left:
            headers["Connection"] = "close"
        self.status, self.has_begun = message["status"], True
        self.is_event_stream = headers.get("content-type", "").startswith("text/event-stream")


async def _run(app: ASGIApp, scope: Scope, body: Body, answer: _Answer) -> None:
    """Run the application, and answer in its place where it fails."""
    try:
        await app(scope, body.receive, answer.send)
    except ClientDisconnect:
        body.has_client_gone = True
    except asyncio.CancelledError:
        bind_contextvars(reason="STOPPING")
        await _say_stopping(scope, body, answer)
    except HTTPException as exc:
        await _fall_back(PlainTextResponse(f"{exc.detail}\n", exc.status_code, exc.headers), scope, body, answer)
    except Exception:  # whatever it is, the client gets an answer without its text
        logger.exception("unforeseen")
        bind_contextvars(reason="INTERNAL")
        answer.status = 500
        text = f"Internal error. The server's log has the details under the request ID {answer.request_id}.\n"
        await _fall_back(PlainTextResponse(text, 500), scope, body, answer)


async def _say_stopping(scope: Scope, body: Body, answer: _Answer) -> None:
    """End a request that the server does not wait for any longer."""
    if answer.is_event_stream and not answer.is_complete:
        event = f"event: error\ndata: {json.dumps({'code': 'unavailable', 'message': _STOPPING})}\n\n"
        await answer.send({"type": "http.response.body", "body": event.encode(), "more_body": False})
    else:
        await _fall_back(PlainTextResponse(f"{_STOPPING}\n", 503, {"Retry-After": "2"}), scope, body, answer)


async def _fall_back(response: Response, scope: Scope, body: Body, answer: _Answer) -> None:
    """Send the response, or if another has begun, leave that incomplete: uvicorn then cuts the connection."""
    if not answer.has_begun:
        response.headers["Cache-Control"] = "no-store"
        await response(scope, body.receive, answer.send)


@contextmanager
def _observed(scope: Scope, body: Body, answer: _Answer) -> Iterator[None]:
    """Count, time and log the request. Names are those of routes: paths and queries may hold what is secret."""
    method = scope["method"] if scope["method"] in _METHODS else _OTHER
    span = Span() if scope["path"].startswith(_UNTRACED) else request_span(method, Headers(scope=scope))
    if span.trace_id:
        bind_contextvars(trace_id=span.trace_id)
    begin = time.perf_counter()
    try:
        with _in_flight.track_inprogress():
            yield
    finally:
        seconds, route = time.perf_counter() - begin, getattr(scope.get("route"), "path", _OTHER)
        status = _CLIENT_GONE if body.has_client_gone and not answer.is_complete else answer.status
        _requests.labels(method, route, str(status)).inc()
        _seconds.labels(method, route).observe(seconds)
        span.end_request(route, status)
        log = logger.debug if route in _QUIET else logger.info
        sizes = {"bytes_in": body.size, "bytes_out": answer.size}
        log("request", method=method, route=route, status=status, ms=round(seconds * 1000, 2), **sizes)


def _peer(scope: Scope) -> str:
    """Return the address that sent the request, with its port if no trusted proxy has said the address."""
    host, port = scope.get("client") or ("", 0)
    return netloc(host, port) if port else str(host)


def _request_id(scope: Scope) -> str:
    """Return the ID that the client or a proxy has given the request, a new one if there is none that may be."""
    try:
        return requests.request_id_of(Headers(scope=scope).get("x-request-id", ""))
    except InvalidRequest:
        return uuid.uuid4().hex
