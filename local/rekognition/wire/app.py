"""The endpoint as an HTTP server: every request passes the access check, then injected faults, then the handler."""

import asyncio
import socket
import struct
import uuid
from collections import Counter
from threading import Lock
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from local.rekognition.wire import shapes
from local.rekognition.wire.access import Access, SignedRequest
from local.rekognition.wire.errors import AwsError
from local.rekognition.wire.faults import Faults, Quotas, Reset
from local.rekognition.wire.protocol import Handler, Reply, error_reply
from services.rekognition.budget.prices import GROUPS

_TARGET = "RekognitionService."
_RESET_AT_ONCE = struct.pack("ii", 1, 0)
_THROTTLING = (b"ThrottlingException", b"ProvisionedThroughputExceededException")
_MAX_BODY = 16 * 1024 * 1024
"""Bytes: CompareFaces' two pictures of 5 MB are 13.3 MB in base64."""
_BILLED = {api for api, group in GROUPS.items() if group} | {"SearchFaces", "SearchUsers", "DisassociateFaces"}
"""Operations with a price on https://aws.amazon.com/rekognition/pricing/; the others are free, and so are errors:
https://repost.aws/questions/QUC3Mnx3QoQ32eHoGTitjAsw."""
_BUG = error_reply(AwsError("InternalServerError", "Internal server error", 500))
_ABOUT = """This is Marquee's stand-in for Amazon Rekognition. It answers AWS's SDKs and command line:

    AWS_ENDPOINT_URL_REKOGNITION={url} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test \\
        AWS_DEFAULT_REGION=us-east-1 aws rekognition list-collections

GET /calls counts the calls, and what AWS would have billed. docs/rekognition-endpoint.md tells more.
"""


def create_app(
    handler: Handler, access: Access | None = None, faults: Faults | None = None, quotas: Quotas | None = None
) -> ASGIApp:
    """Serve operations at `POST /`, health at `GET /healthz` and request counts at `GET /calls`.

    Pages of any origin may call it, as they may call Amazon.
    """
    service = _Service(handler, access or Access(), faults or Faults(), quotas)
    app = Starlette(
        routes=[
            Route("/", service.call, methods=["POST"]),
            Route("/", _about),
            Route("/healthz", _healthz),
            Route("/calls", service.calls),
        ],
        exception_handlers={Exception: _internal_error},
    )
    return CORSMiddleware(  # around the app's errors, too
        app,
        allow_origins=["*"],
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        allow_private_network=True,  # a page of the internet asks before it calls this machine
        expose_headers=["x-amzn-RequestId", "Date"],
        max_age=172_800,
    )


def server(app: ASGIApp, host: str = "127.0.0.1", port: int = 0) -> uvicorn.Server:
    """Return a server for the app. It keeps connections open as long as boto3 wants."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_Protocol,
        lifespan="off",
        ws="none",
        log_level="warning",
        timeout_keep_alive=60,
        timeout_graceful_shutdown=10,
    )
    return uvicorn.Server(config)


class _Service:
    def __init__(self, handler: Handler, access: Access, faults: Faults, quotas: Quotas | None) -> None:
        self._handler = handler
        self._access = access
        self._faults = faults
        self._quotas = quotas
        self._counts = _CallCounts()

    async def call(self, request: Request) -> Response:
        name = request.headers.get("x-amz-target", "").removeprefix(_TARGET)
        try:
            body = await _body(request)
            self._access.check(name, SignedRequest(str(request.url), dict(request.headers), body))
            return await self._handle(request, name, body)
        except AwsError as exc:
            reply = error_reply(exc)
            self._counts.add(name, reply)
            return _response(reply)
        except ClientDisconnect:
            self._counts.add_reset(name)
            return Response()  # reaches nobody
        except Exception:
            self._counts.add(name, _BUG)
            raise

    async def calls(self, _: Request) -> Response:
        return JSONResponse(self._counts.by_operation())

    async def _handle(self, request: Request, name: str, body: bytes) -> Response:
        if self._quotas is not None:
            self._quotas.check(name)
        fault = self._faults.next()
        await asyncio.sleep(fault.delay)
        if fault.error:
            raise fault.error
        if fault.reset is Reset.BEFORE:
            return self._reset(request, name)
        reply = await run_in_threadpool(self._handler, name, body)
        self._counts.add(name, reply)
        return self._reset(request, name) if fault.reset else _response(reply)

    def _reset(self, request: Request, name: str) -> Response:
        self._counts.add_reset(name)
        _reset_connection(request)
        return Response()  # reaches nobody


class _CallCounts:
    """Requests by operation and outcome. Safe to share between threads."""

    KINDS = ("billed", "free", "refused", "throttled", "failed", "reset")
    """Billed are requests with a price that ran, even if their response was lost; free are those without a price."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, operation: str, reply: Reply) -> None:
        self._add(operation, _kind(operation, reply))

    def add_reset(self, operation: str) -> None:
        self._add(operation, "reset")

    def _add(self, operation: str, kind: str) -> None:
        known = operation in shapes.service_model().operation_names
        with self._lock:
            self._counts[operation if known else "unknown", kind] += 1

    def by_operation(self) -> dict[str, dict[str, int]]:
        with self._lock:
            names = sorted({operation for operation, _ in self._counts})
            return {name: {kind: self._counts[name, kind] for kind in self.KINDS} for name in names}


class _Protocol(H11Protocol):
    """HTTP/1.1 that gives each request its connection, which ASGI does not."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        # asyncio sets this only for sockets made with getaddrinfo's protocol number; without it the
        # response's body waits 40 ms for the acknowledgement of its headers.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {**self.app_state, "transport": transport}


def _reset_connection(request: Request) -> None:
    transport = request.state.transport
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_ONCE)
    transport.abort()


def _kind(operation: str, reply: Reply) -> str:
    if reply.http_status < 400:  # noqa: PLR2004 - HTTP's errors
        return "billed" if operation in _BILLED else "free"
    if reply.http_status >= 500:  # noqa: PLR2004 - HTTP's errors of the server
        return "failed"
    return "throttled" if any(code in reply.body for code in _THROTTLING) else "refused"


async def _body(request: Request) -> bytes:
    """Return the request's body. Raises AwsError once all of one that is too large has passed by."""
    body = bytearray()
    async for part in request.stream():
        body += part[: _MAX_BODY + 1 - len(body)]
    if len(body) > _MAX_BODY:
        raise AwsError("RequestEntityTooLargeException", f"The body has more than {_MAX_BODY} bytes.", 413)
    return bytes(body)


async def _about(request: Request) -> Response:
    return PlainTextResponse(_ABOUT.format(url=str(request.base_url).rstrip("/")))


async def _healthz(_: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _internal_error(_: Request, __: Exception) -> Response:
    return _response(_BUG)


def _response(reply: Reply) -> Response:
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    return Response(reply.body, reply.http_status, headers, media_type="application/x-amz-json-1.1")
