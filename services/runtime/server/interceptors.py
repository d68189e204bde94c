"""What happens around every call: errors become statuses, metrics move, one line is logged."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import Any, cast

import grpc
import structlog
from google.protobuf.message import Message
from google.rpc import status_pb2
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

from services.runtime import status
from services.runtime.server.admission import Admission
from services.runtime.server.calls import Context, Handler, seconds_left
from services.runtime.server.metrics import Method

logger = structlog.get_logger()
_QUIET = ("grpc.health.", "grpc.reflection.")


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every method that the server has, and counts calls to those that it has not."""

    def __init__(self, admission: Admission) -> None:
        self._wrap = cache(partial(_wrap, admission=admission))

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Wraps the method's handler."""
        handler = await continuation(handler_call_details)
        method = Method.of(handler_call_details.method, handler)
        if handler is None:
            method.begin()
            method.end(grpc.StatusCode.UNIMPLEMENTED, 0)
            return handler
        return self._wrap(handler, method)


def _wrap(handler: Handler, method: Method, admission: Admission) -> Handler:
    kind = "stream" if handler.request_streaming else "unary"
    kind += "_stream" if handler.response_streaming else "_unary"
    around = _around_stream if handler.response_streaming else _around_unary
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    wrapped: Handler = make(
        around(getattr(handler, kind), method, admission), handler.request_deserializer, handler.response_serializer
    )
    return wrapped


def _around_unary(behaviour: Callable[..., Any], method: Method, admission: Admission) -> Callable[..., Any]:
    async def call(request: Any, context: Context) -> Any:
        try:
            async with _observed(method, context):
                with admission.admitted(_size(request)):
                    return await behaviour(request, context)
        except grpc.aio.AbortError as aborted:
            del request
            raise _alone(aborted) from None

    return call


def _around_stream(behaviour: Callable[..., Any], method: Method, admission: Admission) -> Callable[..., Any]:
    async def call(request: Any, context: Context) -> AsyncIterator[Any]:
        try:
            async with _observed(method, context):
                with admission.admitted(_size(request)):
                    responses = behaviour(request, context)
                    if inspect.isawaitable(responses):  # gRPC's own health servicer writes to the context instead
                        await responses
                        return
                    async for response in responses:
                        yield response
        except grpc.aio.AbortError as aborted:
            del request
            raise _alone(aborted) from None

    return call


def _alone(aborted: grpc.aio.AbortError) -> grpc.aio.AbortError:
    """Without frames and causes: gRPC keeps it until garbage is collected, and they would keep the request."""
    aborted.__context__ = None
    return aborted.with_traceback(None)


def _size(request: Any) -> int:
    return request.ByteSize() if isinstance(request, Message) else 0


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
        code = _aborted_with(context)
        raise
    except (asyncio.CancelledError, GeneratorExit):
        code = _why_cancelled(context)
        raise
    except Exception as exc:  # noqa: BLE001 - whatever it is, the caller gets a status
        answer = _explain(exc)
        code = status.code_of(answer)
        await context.abort(code, answer.message, ((status.DETAILS_KEY, answer.SerializeToString()),))
    finally:
        seconds = time.perf_counter() - begin
        method.end(code, seconds)
        _log(method, code, seconds)


def _explain(exc: Exception) -> status_pb2.Status:
    answer = status.from_exception(exc, **_request_id())
    if answer.code == status.number(grpc.StatusCode.INTERNAL):
        logger.error("unforeseen", exc_info=exc)
    bind_contextvars(reason=status.reason_of(answer), error=answer.message)
    return answer


def _request_id() -> dict[str, str]:
    request_id = get_contextvars().get("request_id")
    return {"request_id": request_id} if request_id else {}


def _aborted_with(context: Context) -> grpc.StatusCode:
    return cast("grpc.StatusCode | None", context.code()) or grpc.StatusCode.UNKNOWN


def _why_cancelled(context: Context) -> grpc.StatusCode:
    return grpc.StatusCode.CANCELLED if seconds_left(context) > 0 else grpc.StatusCode.DEADLINE_EXCEEDED


def _log(method: Method, code: grpc.StatusCode, seconds: float) -> None:
    quiet = method.service.startswith(_QUIET)
    log = logger.debug if quiet else logger.info
    log("call", service=method.service, method=method.name, code=code.name, ms=round(seconds * 1000, 2))
