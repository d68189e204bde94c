"""What every call of a server has: a deadline, admission, a status for its errors, metrics and one log line."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias, cast

import grpc
import structlog
from google.protobuf.message import Message
from google.rpc import status_pb2
from prometheus_client import Counter, Gauge, Histogram
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

from services.runtime import status
from services.runtime.errors import OutOfTime, Overloaded
from services.runtime.limits import DEFAULT_DEADLINE_SECONDS, MIB
from services.runtime.server.metrics import BUCKETS

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_Behavior: TypeAlias = Callable[..., Any]
logger = structlog.get_logger()
_QUIET = ("grpc.health.", "grpc.reflection.")
_METHOD = ("grpc_type", "grpc_service", "grpc_method")
# The names are those of go-grpc-middleware, so that its dashboards fit.
_started = Counter("grpc_server_started", "Total RPCs started on the server.", _METHOD)
_handled = Counter("grpc_server_handled", "Total RPCs completed on the server, by code.", (*_METHOD, "grpc_code"))
_seconds = Histogram(
    "grpc_server_handling_seconds", "Duration of RPCs handled by the server, in seconds.", _METHOD, buckets=BUCKETS
)
_in_flight = Gauge("marquee_in_flight_bytes", "Total size of the requests in flight, in bytes.")
_deadline: ContextVar[float] = ContextVar("deadline")


def seconds_left(context: Context) -> float:
    """Return the seconds until the caller's deadline, 0 if it has passed; the default if there is no deadline."""
    left = cast("float | None", context.time_remaining())
    return DEFAULT_DEADLINE_SECONDS if left is None else left


@asynccontextmanager
async def within(deadline: float, name: str) -> AsyncIterator[None]:
    """Cancel the body at the deadline, on time.monotonic()'s clock. Raises OutOfTime, which names the recognizer."""
    token = _deadline.set(deadline)
    try:
        async with asyncio.timeout_at(deadline) as timeout:  # the event loop's clock is time.monotonic()'s
            yield
    except TimeoutError:
        if not timeout.expired():
            raise
        raise OutOfTime(f"{name} did not finish before the call's deadline.") from None
    finally:
        _deadline.reset(token)


def deadline() -> float:
    """Return the deadline that `within` set, on time.monotonic()'s clock; outside of it, the default from now."""
    return _deadline.get(time.monotonic() + DEFAULT_DEADLINE_SECONDS)


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Interceptor of every method of a server; calls of unknown methods are counted, too.

    Refuses a call whose request would bring the requests in memory over `max_bytes`, so that many large pictures
    do not end the process.
    """

    def __init__(self, max_bytes: int) -> None:
        self._admission = _Admission(max_bytes)
        self._wrap = cache(self._wrapped)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Return the method's handler, wrapped."""
        handler = await continuation(handler_call_details)
        method = Method.of(handler_call_details.method, handler)
        if handler is None:
            method.begin()
            method.end(grpc.StatusCode.UNIMPLEMENTED, 0)
            return handler
        return self._wrap(handler, method)

    def _wrapped(self, handler: Handler, method: "Method") -> Handler:
        kind = "stream" if handler.request_streaming else "unary"
        kind += "_stream" if handler.response_streaming else "_unary"
        wrap = _wrap_stream if handler.response_streaming else _wrap_unary
        behavior = wrap(getattr(handler, kind), method, self._admission)
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return cast("Handler", make(behavior, handler.request_deserializer, handler.response_serializer))


class _Admission:
    """The requests in memory, `max_bytes` of them at most."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0

    @contextmanager
    def admitted(self, request: Any) -> Iterator[None]:
        """Count the request until its call ends. Raises Overloaded."""
        size = request.ByteSize() if isinstance(request, Message) else 0
        if self._bytes + size > self._max_bytes:
            raise Overloaded(
                f"The server has {self._bytes / MIB:.0f} MiB of requests in flight; "
                f"the limit is {self._max_bytes / MIB:.0f} MiB. Try again later."
            )
        self._add(size)
        try:
            yield
        finally:
            self._add(-size)

    def _add(self, size: int) -> None:
        self._bytes += size
        _in_flight.set(self._bytes)


@dataclass(frozen=True)
class Method:
    """A method as metrics and logs name it. All unknown methods share one name, so that callers add no labels."""

    type: str
    service: str
    name: str

    @classmethod
    def of(cls, path: str, handler: "Handler | None") -> "Method":
        """Return the method at the path "/package.Service/Name"."""
        if handler is None:
            return cls("unary", "unknown", "unknown")
        service, _, name = path.lstrip("/").partition("/")
        return cls(_type(handler), service, name)

    def begin(self) -> None:
        """Count the start of a call."""
        _started.labels(self.type, self.service, self.name).inc()

    def end(self, code: grpc.StatusCode, seconds: float) -> None:
        """Count the end of a call."""
        _handled.labels(self.type, self.service, self.name, code_name(code)).inc()
        _seconds.labels(self.type, self.service, self.name).observe(seconds)


def code_name(code: grpc.StatusCode) -> str:
    """Return the code in Go's spelling, such as "DeadlineExceeded"; "Canceled" has one l."""
    if code is grpc.StatusCode.OK:
        return "OK"
    if code is grpc.StatusCode.CANCELLED:
        return "Canceled"
    return "".join(word.capitalize() for word in code.name.split("_"))


def _wrap_unary(behavior: _Behavior, method: Method, admission: _Admission) -> _Behavior:
    async def call(request: Any, context: Context) -> Any:
        try:
            async with _observed(method, context):
                with admission.admitted(request):
                    return await behavior(request, context)
        except grpc.aio.AbortError as aborted:
            del request
            raise _stripped(aborted) from None

    return call


def _wrap_stream(behavior: _Behavior, method: Method, admission: _Admission) -> _Behavior:
    async def call(request: Any, context: Context) -> AsyncIterator[Any]:
        try:
            async with _observed(method, context):
                with admission.admitted(request):
                    responses = behavior(request, context)
                    if inspect.isawaitable(responses):  # gRPC's own health servicer writes to the context instead
                        await responses
                        return
                    async for response in responses:
                        yield response
        except grpc.aio.AbortError as aborted:
            del request
            raise _stripped(aborted) from None

    return call


def _stripped(aborted: grpc.aio.AbortError) -> grpc.aio.AbortError:
    """Return the error without frames and causes: gRPC keeps it until the next garbage collection, and the request."""
    aborted.__context__ = None
    return aborted.with_traceback(None)


@asynccontextmanager
async def _observed(method: Method, context: Context) -> AsyncIterator[None]:
    # The outcome comes from the exception: context.code() is None for OK, crash and cancel alike.
    clear_contextvars()
    method.begin()
    begin = time.perf_counter()
    code = grpc.StatusCode.OK
    try:
        yield
    except grpc.aio.AbortError:
        code = cast("grpc.StatusCode | None", context.code()) or grpc.StatusCode.UNKNOWN
        raise
    except (asyncio.CancelledError, GeneratorExit):
        code = grpc.StatusCode.CANCELLED if seconds_left(context) > 0 else grpc.StatusCode.DEADLINE_EXCEEDED
        raise
    except Exception as exc:  # noqa: BLE001 - whatever it is, the caller gets a status
        answer = _status_of(exc)
        code = status.code_of(answer)
        await context.abort(code, answer.message, ((status.DETAILS_KEY, answer.SerializeToString()),))
    finally:
        seconds = time.perf_counter() - begin
        method.end(code, seconds)
        _log(method, code, seconds)


def _status_of(exc: Exception) -> status_pb2.Status:
    request_id = get_contextvars().get("request_id")
    answer = status.from_exception(exc, **({"request_id": request_id} if request_id else {}))
    if answer.code == status.number(grpc.StatusCode.INTERNAL):
        logger.error("unforeseen", exc_info=exc)
    bind_contextvars(reason=status.reason_of(answer), error=answer.message)
    return answer


def _log(method: Method, code: grpc.StatusCode, seconds: float) -> None:
    log = logger.debug if method.service.startswith(_QUIET) else logger.info
    log("call", service=method.service, method=method.name, code=code.name, ms=round(seconds * 1000, 2))


def _type(handler: Handler) -> str:
    if handler.request_streaming:
        return "bidi_stream" if handler.response_streaming else "client_stream"
    return "server_stream" if handler.response_streaming else "unary"
