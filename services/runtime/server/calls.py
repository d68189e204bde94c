"""What every call of a server has: a deadline, admission, a status for its errors, metrics and one log line."""

import asyncio
import math
import time
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeAlias, cast
from urllib.parse import unquote

import grpc
import structlog
from google.protobuf.message import DecodeError
from google.rpc import status_pb2
from prometheus_client import Counter
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

from services.runtime import requests, status
from services.runtime.doors import audit
from services.runtime.doors.door import Door
from services.runtime.errors import Forbidden, MalformedRequest, OutOfTime, RateExceeded, Unauthenticated
from services.runtime.limits import MAX_MESSAGE_BYTES
from services.runtime.messages import envelope
from services.runtime.messages.envelope import Envelope
from services.runtime.server import bulkhead
from services.runtime.server.admission import Admission
from services.runtime.server.bulkhead import Bulkhead
from services.runtime.server.deadline import deadline, seconds_left, within
from services.runtime.server.metrics import HEALTH, REFLECTION, Handler, Method
from services.runtime.server.tracing import NO_SPAN, server_span

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
logger = structlog.get_logger()
_LISTING = "ListRecognizers"
"""Takes no place of a bulkhead, so that a busy server is still listed."""
_refused = Counter(
    "marquee_refused_calls", "Total calls that their caller may not make, by reason.", ("grpc_method", "reason")
)
_FAREWELL_SECONDS = 1.0
_CLOCK_SECONDS = 0.05
"""A caller's time is up before it is here: it does not count the way of the request."""
_HASTY_SECONDS = 0.1
"""Who gives a call less time than this is late by their own fault: no recognizer promises to be that quick."""
_NO_METHOD = status_pb2.Status(code=status.number(grpc.StatusCode.UNIMPLEMENTED), message="Method not found!")
_INTERNET = frozenset({"ipv4", "ipv6"})
_FORWARDED_KEY, _MAX_FORWARDED = "x-forwarded-for", 500
POLL_METADATA = (("marquee-poll", "1"),)
"""Metadata of a listing that a gateway asks for by itself, twice a second: that it went well is no news."""
_begin: ContextVar[float] = ContextVar("begin")
_metadata: ContextVar[tuple[tuple[str, Any], ...]] = ContextVar("metadata")


def metadata() -> tuple[tuple[str, Any], ...]:
    """Return the current call's metadata; gRPC's context makes them anew each time that it is asked."""
    return _metadata.get()


def is_poll() -> bool:
    """Return whether a gateway calls by itself, and not for anybody."""
    return POLL_METADATA[0] in metadata()


def begin() -> float:
    """Return when the current call began, before its request was there, on time.perf_counter()'s clock."""
    return _begin.get()


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Interceptor of every method of a server; calls of unknown methods are counted, too.

    Every request is received as a stream of messages, of which the first is read when there is room for it (see
    `admission`). On the wire that is the same. Health and reflection have places of their own; their streams live on.
    A call that the bulkhead has no place for is refused before its request is read.
    """

    def __init__(self, max_bytes: int, door: Door, bulkhead: Bulkhead | None = None) -> None:
        self._door = door
        self._bulkhead = bulkhead or Bulkhead()
        self._admissions = {
            HEALTH: Admission(MAX_MESSAGE_BYTES, places=1, patience=0.1),
            REFLECTION: Admission(MAX_MESSAGE_BYTES, places=1),
            "": Admission(max_bytes),
        }
        self._end = math.inf
        self._handlers: dict[str, Handler] = {}
        self._unknown: Handler = grpc.stream_stream_rpc_method_handler(_refuse_unknown)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Return the method's handler, wrapped."""
        path = handler_call_details.method
        if path not in self._handlers:
            handler = await continuation(handler_call_details)
            if handler is None:
                return self._unknown
            self._handlers[path] = self._wrapped(handler, Method.of(path, handler))
        return self._handlers[path]

    def _wrapped(self, handler: Handler, method: Method) -> Handler:
        admission = next(each for prefix, each in self._admissions.items() if method.service.startswith(prefix))
        kinds = [
            "stream" if streaming else "unary" for streaming in (handler.request_streaming, handler.response_streaming)
        ]
        behavior = getattr(handler, "_".join(kinds))
        call = _Call(
            behavior=behavior,
            parse=_parser(handler.request_deserializer, behavior),
            respond=_write if handler.response_streaming else _answer,
            admission=admission,
            bulkhead=Bulkhead() if method.is_quiet or method.name == _LISTING else self._bulkhead,
            method=method,
            door=self._door,
        )
        run = self._observing(method, call.of_messages if handler.request_streaming else call.of_message)
        make = getattr(grpc, f"stream_{kinds[1]}_rpc_method_handler")
        return cast("Handler", make(run, None, handler.response_serializer))

    async def stop(self, server: grpc.aio.Server, seconds: float) -> None:
        """Stop the server; that calls which outlast so many seconds are cut off is its own fault."""
        self._end = time.monotonic() + seconds
        await server.stop(seconds)

    def _observing(self, method: Method, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        is_endless = method.is_quiet and "stream" in method.type

        async def run(messages: AsyncIterator[bytes], context: Context) -> Any:
            observation = _Observation(method, context)
            try:
                if is_endless:
                    return await self._admitted(method, call, messages, context)
                async with within(time.monotonic() + observation.seconds_left, method.name):
                    return await self._admitted(method, call, messages, context)
            except grpc.aio.AbortError as aborted:
                observation.aborted()
                raise _stripped(aborted) from None
            except (asyncio.CancelledError, GeneratorExit):
                observation.cancelled(is_cut=time.monotonic() > self._end - _CLOCK_SECONDS)
                raise
            except Exception as exc:  # noqa: BLE001 - whatever it is, the caller gets a status
                answer = observation.failed(exc)
            finally:
                observation.end()
            await _abort(context, answer)  # once it is counted, as is a call that is answered
            return None

        return run

    async def _admitted(
        self, method: Method, call: Callable[..., Awaitable[Any]], messages: AsyncIterator[bytes], context: Context
    ) -> Any:
        """Answer the call if its caller may make it; if not, count that, and record what would be wrong later, too."""
        try:
            await self._door.admit(method.path, context, metadata())
            return await call(messages, context)
        except (Unauthenticated, Forbidden, RateExceeded) as exc:
            reason = status.TABLE[type(exc)][1]
            _refused.labels(method.name, reason).inc()
            if not isinstance(exc, RateExceeded):
                audit.refusal(method.name, reason, exc.message)
            raise


async def _refuse_unknown(messages: AsyncIterator[bytes], context: Context) -> None:
    """End a call of a method that there is not, as gRPC itself does, but with a line in the log."""
    del messages
    observation = _Observation(Method.of("", None), context)
    observation.ends_with(_NO_METHOD)
    observation.end()
    await _abort(context, _NO_METHOD)


@dataclass(frozen=True)
class _Call:
    """How a method's requests are received and answered. Nothing here keeps a request: it is large."""

    behavior: Callable[..., Any]
    parse: Callable[[bytes], Envelope[Any]]
    respond: Callable[[Any, Context], Awaitable[Any]]
    admission: Admission
    bulkhead: Bulkhead
    method: Method
    door: Door

    async def of_message(self, messages: AsyncIterator[bytes], context: Context) -> Any:
        """Answer the first message."""
        del messages  # `receive` reads from the context
        bulkhead.enter(metadata())
        self.bulkhead.check()
        with self.admission.holding() as holding:
            message = await self.admission.receive(context, holding)
            if message is grpc.aio.EOF:  # gRPC never answers a call without a request
                await asyncio.sleep(deadline() - time.monotonic())
                raise OutOfTime("The call's request did not come.")
            received = [self.parse(message)]
            del message
            _bind_request_id(received[0].request)
            self.door.check_collection(received[0].request)
            with self.bulkhead.place():
                if not audit.is_change(self.method.name):
                    return await self.respond(self._begin(received.pop(), context), context)
                with audit.change(self.method.name, received[0].request) as change:
                    change.response = await self.respond(self._begin(received.pop(), context), context)
                return change.response

    async def of_messages(self, messages: AsyncIterator[bytes], context: Context) -> Any:
        """Answer all messages, in a place: whether another is arriving cannot be told."""
        requests = (self.parse(message).request async for message in messages)
        return await self.admission.in_place(context, lambda _: self.respond(self.behavior(requests, context), context))

    def _begin(self, received: Envelope[Any], context: Context) -> Any:
        return self.behavior(received if envelope.is_taken(self.behavior) else received.request, context)


def _bind_request_id(request: Any) -> None:
    """Log the request's ID, if it has one, from now on. Raises InvalidRequest."""
    if request_id := getattr(request, "request_id", ""):
        bind_contextvars(request_id=requests.request_id_of(request_id))


def _answer(response: Awaitable[Any], context: Context) -> Awaitable[Any]:
    del context
    return response


async def _write(responses: AsyncGenerator[Any], context: Context) -> None:
    async with aclosing(responses):
        async for response in responses:
            with _listening():
                await context.write(response)


@contextmanager
def _listening() -> Iterator[None]:
    """Cancel the call if the body finds that the caller has gone, or does not read."""
    try:
        yield
    except (TimeoutError, grpc.aio.InternalError):
        raise asyncio.CancelledError from None


def _parser(deserialize: Any, behavior: Callable[..., Any]) -> Callable[[bytes], Envelope[Any]]:
    """Return what reads a message, its pictures apart if the behavior takes the envelope.

    It raises MalformedRequest, and InvalidRequest for a large envelope.
    """
    kind = deserialize.__self__

    def parse(message: bytes) -> Envelope[Any]:
        try:
            if envelope.is_taken(behavior):
                return envelope.read(message, kind)
            envelope.check(message, kind.DESCRIPTOR)
            return Envelope(kind.FromString(message), ())
        except DecodeError:
            raise MalformedRequest(
                f"The request is no {kind.DESCRIPTOR.full_name}. Was it made from another version of the protos?"
            ) from None

    return parse


def _stripped(aborted: grpc.aio.AbortError) -> grpc.aio.AbortError:
    """Return the error without frames and causes: gRPC keeps it until the next garbage collection, and the request."""
    aborted.__context__ = None
    return aborted.with_traceback(None)


class _Observation:
    """What metrics, traces and the log tell of a call, from its beginning on.

    The outcome comes from the exception: context.code() is None for OK, crash and cancel alike.
    """

    def __init__(self, method: Method, context: Context) -> None:
        _metadata.set(tuple(context.invocation_metadata() or ()))
        self._method = method
        self._context = context
        self._is_poll = method.name == _LISTING and is_poll()
        self._is_quiet = method.is_quiet or self._is_poll
        self._span = NO_SPAN if self._is_quiet else server_span(method.path, metadata())
        trace_id = {"trace_id": self._span.trace_id} if self._span.trace_id else {}
        clear_contextvars()
        bind_contextvars(caller=None, **_origin(context.peer()), **trace_id)
        if not self._is_poll:
            method.begin()
        self.seconds_left = seconds_left(context, method.name)
        """Until the deadline, at the call's beginning."""
        self._begin = time.perf_counter()
        _begin.set(self._begin)
        self._code = grpc.StatusCode.OK
        self._fault: status.Fault | None = None

    def aborted(self) -> None:
        """Take the code that the call was ended with."""
        self._code = cast("grpc.StatusCode | None", self._context.code()) or grpc.StatusCode.UNKNOWN

    def cancelled(self, *, is_cut: bool) -> None:
        """Tell whether the caller's time was up, the server stopped, or the caller went."""
        if seconds_left(self._context) < _CLOCK_SECONDS:
            self._code = grpc.StatusCode.DEADLINE_EXCEEDED
        elif is_cut:
            self._code = grpc.StatusCode.UNAVAILABLE  # as gRPC says it to the caller
            bind_contextvars(error="The server stopped before the call had ended.")
        else:
            self._code = grpc.StatusCode.CANCELLED

    def failed(self, exc: Exception) -> status_pb2.Status:
        """Return the status that the call ends with, and let go of what the exception holds."""
        answer = _status_of(exc)
        self.ends_with(answer)
        traceback.clear_frames(exc.__traceback__)  # they hold the request
        exc.__traceback__ = None  # they hold the exception, too: a cycle, and its causes have the picture
        return answer

    def ends_with(self, answer: status_pb2.Status) -> None:
        """Take the status that the caller gets."""
        self._code, self._fault = status.code_of(answer), status.fault_of(answer)

    def end(self) -> None:
        """Tell of the call."""
        seconds = time.perf_counter() - self._begin
        if self.seconds_left < _HASTY_SECONDS and self._code is grpc.StatusCode.DEADLINE_EXCEEDED:
            self._fault = "caller"
        if not self._is_poll:
            self._method.end(self._code, seconds, self._fault)
        self._span.end(self._code)
        log = logger.debug if self._is_quiet else logger.info
        service, name = self._method.service, self._method.name
        log("call", service=service, method=name, code=self._code.name, ms=round(seconds * 1000, 2))


def _origin(peer: str) -> dict[str, str]:
    """Return the address that sent the call, and for whom: a proxy says so, and without one anybody may.

    What the nearest proxy has added comes last, and is kept.
    """
    kind, _, address = unquote(peer).partition(":")
    forwarded = ", ".join([str(value) for key, value in metadata() if key == _FORWARDED_KEY])
    origin = {"peer": address if kind in _INTERNET else peer}
    return origin | ({"forwarded_for": forwarded[-_MAX_FORWARDED:]} if forwarded else {})


async def _abort(context: Context, answer: status_pb2.Status) -> None:
    details = ((status.DETAILS_KEY, answer.SerializeToString()),) if answer.details else ()  # else gRPC says it all
    trailers = tuple(context.trailing_metadata() or ())  # which gRPC would leave out otherwise
    try:
        with _listening():
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await context.abort(status.code_of(answer), answer.message, (*trailers, *details))
    except grpc.aio.AbortError as aborted:
        raise _stripped(aborted) from None


def _status_of(exc: Exception) -> status_pb2.Status:
    request_id = get_contextvars().get("request_id")
    metadata = {"request_id": request_id} if request_id else {}
    answer = status.from_exception(exc, **metadata)
    if status.code_of(answer) is grpc.StatusCode.OK:  # gRPC would never end the call
        answer = status.from_exception(ValueError("A failure has the status OK."), **metadata)
    if answer.code == status.number(grpc.StatusCode.INTERNAL) and not isinstance(exc, status.StatusError):
        logger.error("unforeseen", exc_info=exc)
    bind_contextvars(reason=status.reason_of(answer), error=answer.message)
    return answer
