"""Connect: the contract's services over HTTP, in JSON and protobuf, for curl and browsers.

The endpoints are made of the descriptors. protoc-gen-connectrpc, with its option protobuf=google, writes the same
MethodInfo and Endpoint for each method into a file, which would have to be kept equal to the protos; so a method that
the contract gets is served without a line.
"""

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar

from connectrpc.code import Code
from connectrpc.errors import ConnectError, ErrorDetail
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.request import RequestContext
from connectrpc.server import ConnectASGIApplication, Endpoint
from google.protobuf import any_pb2, json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from protobuf.wkt import Any as AnyDetail
from protobuf.wkt import Struct
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as Event

from services.runtime import status
from services.runtime.errors import DomainError, InvalidRequest, MalformedRequest, NotOffered, OutOfTime
from services.runtime.limits import MIB
from services.web import errors
from services.web.api import codec
from services.web.gateway import SERVICES, Gateway, path_of

_MAX_RESERVE_SECONDS = 0.05
_VERSION = "1"
_MILLISECONDS = re.compile(r"[0-9]{1,10}")
_UNPACKED = "The body cannot be unpacked: it is not what its Content-Encoding says."
M = TypeVar("M", bound=Message)
UNARY = ("application/json", "application/proto")
STREAMING = ("application/connect+json", "application/connect+proto")
GRPC_WEB = ("application/grpc-web", "application/grpc-web+json", "application/grpc-web+proto")


class Connect(ConnectASGIApplication[Gateway]):
    """The services. Calls are the current visitor's; a call ends when its deadline passes or its client goes away."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(
            service=gateway,
            endpoints=_endpoints,
            interceptors=(_InWords(),),
            codecs=(_Json(), _Proto()),
            read_max_bytes=codec.MAX_BODY_BYTES,
        )

    @property
    def path(self) -> str:
        """Where it is mounted: the endpoints' paths are absolute."""
        return ""

    def routes(self) -> Sequence[BaseRoute]:
        """Return a route for each method."""
        return tuple(
            Route(path_of(method), _Guarded(self, STREAMING if method.server_streaming else UNARY))
            for service in SERVICES
            for method in service.methods
        )


def seconds_of(headers: Headers) -> float | None:
    """Return how long the call may take by the header Connect-Timeout-Ms, in seconds. Raises InvalidRequest."""
    text = headers.get("connect-timeout-ms", "")
    if text and not _MILLISECONDS.fullmatch(text):
        raise InvalidRequest(f"Connect-Timeout-Ms is {text!r}; it takes milliseconds, in 10 digits at most.")
    return int(text) / 1000 if text else None


def _endpoints(gateway: Gateway) -> Mapping[str, Any]:
    return {path_of(method): _endpoint(gateway, method) for service in SERVICES for method in service.methods}


def _endpoint(gateway: Gateway, method: MethodDescriptor) -> Any:
    async def call(request: Message, context: RequestContext[Any, Any]) -> Message:
        try:
            return await gateway.call(method, request, _timeout(context))  # type: ignore[no-any-return]
        except Exception as exc:  # noqa: BLE001 - whatever it is, the caller gets a status
            context.response_headers.update(errors.headers_of(exc))
            raise _error(exc) from None

    async def stream(request: Message, context: RequestContext[Any, Any]) -> AsyncIterator[Message]:
        responses = gateway.stream(method, request, _timeout(context))
        try:
            async for response in responses:
                yield response
        except Exception as exc:  # noqa: BLE001 - likewise
            context.response_headers.update(errors.headers_of(exc))
            raise _error(exc) from None
        finally:
            await responses.aclose()

    if method.server_streaming:
        return Endpoint.server_stream(_info(method, StreamType.SERVER_STREAM), stream)
    return Endpoint.unary(_info(method, StreamType.UNARY), call)


def _info(method: MethodDescriptor, kind: StreamType) -> MethodInfo[Any, Any]:
    return MethodInfo(
        name=method.name,
        service_name=method.containing_service.full_name,
        input=GetMessageClass(method.input_type),
        output=GetMessageClass(method.output_type),
        idempotency_level=IdempotencyLevel.UNKNOWN,
        stream_type=kind,
    )


def _timeout(context: RequestContext[Any, Any]) -> float | None:
    """Return how long the gateway may take, in seconds: its answer has to leave before the caller gives up."""
    if context.timeout_ms is None:
        return None
    left = max(context.timeout_ms, 0) / 1000
    return left - min(left / 10, _MAX_RESERVE_SECONDS)


def _error(exc: Exception) -> ConnectError:
    """Return the error as the library sends it."""
    one = errors.logged_status(exc)
    return ConnectError(
        Code(errors.connect_code(status.code_of(one))), one.message, [_Detail(detail) for detail in one.details]
    )


class _InWords:
    """The library's interceptor, in which its own errors become ours, and those that nobody foresaw lose their text."""

    async def on_start(self, ctx: RequestContext[Any, Any]) -> None:
        """Do nothing yet."""

    async def on_end(self, token: None, ctx: RequestContext[Any, Any], error: Exception | None) -> None:
        """Raise the error that the caller gets in place of this one, if it is not ours; no error if it has gone."""
        del token, ctx
        is_fit = isinstance(error, ConnectError) and (error.details or error.code is Code.CANCELED)
        if error is not None and not is_fit:
            raise _error(_foreseen(error))


def _foreseen(error: Exception) -> Exception:
    """Return what an error of the library means; any other stays as it is."""
    if not isinstance(error, ConnectError):
        return error
    if error.code is Code.DEADLINE_EXCEEDED:
        return OutOfTime("The call did not finish before its deadline.")
    if error.code is Code.RESOURCE_EXHAUSTED:
        return HTTPException(413, f"The body is too large: unpacked it may have {codec.MAX_BODY_BYTES // MIB} MiB.")
    if error.code is Code.UNIMPLEMENTED:
        return NotOffered(error.message)
    return MalformedRequest(_UNPACKED if error.message.startswith("decompress") else error.message)


class _Detail(ErrorDetail):
    """A detail of an error, which shows itself as JSON, too: the library's protobuf package knows none of its types."""

    def __init__(self, detail: any_pb2.Any) -> None:
        super().__init__(AnyDetail(type_url=detail.type_url, value=detail.value))
        shown = json_format.MessageToDict(detail)
        del shown["@type"]
        self._shown = Struct.from_json(json.dumps(shown))

    def value(self, desc_or_registry: Any = None) -> Any:
        """Return the detail as a message of the type, or as JSON."""
        return self._shown if desc_or_registry is None else super().value(desc_or_registry)


class _Json:
    """The library's codec for JSON. Unknown fields are refused."""

    def name(self) -> str:
        """Return what the content type calls it."""
        return "json"

    def encode(self, message: Message) -> bytes:
        """Return the message in one line. Raises ConnectError."""
        try:
            return codec.to_json(message).encode()
        except Exception as exc:  # noqa: BLE001 - the library would show its text
            raise _error(exc) from None

    def decode(self, data: bytes | bytearray, message_class: type[M]) -> M:
        """Return the message. Raises ConnectError."""
        return _decoded(codec.from_json, data, message_class)


class _Proto:
    """The library's codec for protobuf. Unknown fields pass, as they do over gRPC."""

    def name(self) -> str:
        """Return what the content type calls it."""
        return "proto"

    def encode(self, message: Message) -> bytes:
        """Return the message's bytes."""
        return message.SerializeToString()

    def decode(self, data: bytes | bytearray, message_class: type[M]) -> M:
        """Return the message. Raises ConnectError."""
        return _decoded(codec.from_bytes, data, message_class)


def _decoded(read: Callable[[bytes | bytearray, type[M]], M], data: bytes | bytearray, kind: type[M]) -> M:
    try:
        return read(data, kind)
    except DomainError as exc:
        raise _error(exc) from None


class _Guarded:
    """Refuses in words what the library would with an empty body, and what it would stumble over."""

    def __init__(self, app: ASGIApp, kinds: Sequence[str]) -> None:
        self._app = app
        self._kinds = (*kinds, *GRPC_WEB)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call of a method. Raises HTTPException and InvalidRequest."""
        request = Request(scope)
        if request.method != "POST":
            raise HTTPException(405, "Call this method with POST.", {"Allow": "POST"})
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in self._kinds:
            kinds = ", ".join(self._kinds)
            raise HTTPException(415, f"Content-Type is {kind!r}; this method takes {kinds}.", {"Accept-Post": kinds})
        _check(request.headers)
        # The library reads all headers, as UTF-8; those that it knows have none but ASCII's letters.
        headers = [(name, value) for name, value in scope["headers"] if value.isascii()]
        await self._app({**scope, "headers": headers}, await _begun(receive), send)


def _check(headers: Headers) -> None:
    """Raise InvalidRequest for headers of the protocol that cannot be kept."""
    seconds_of(headers)
    if (version := headers.get("connect-protocol-version", _VERSION)) != _VERSION:
        raise InvalidRequest(f"Connect-Protocol-Version is {version!r}; this server knows {_VERSION}.")


async def _begun(receive: Receive) -> Receive:
    """Return what gives the same body, once it has begun to come: what refuses a body is an answer of its own."""
    events = [await receive()]

    async def resumed() -> Event:
        return events.pop() if events else await receive()

    return resumed
