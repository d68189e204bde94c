"""The gateway, as the page and the HTTP API call it."""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
import structlog
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from structlog.contextvars import get_contextvars

from marquee.v1 import enrollment_pb2, recognizer_pb2
from services.runtime import status
from services.runtime.doors.caller import Caller
from services.runtime.doors.credentials import Connection
from services.runtime.doors.door import without_spending
from services.runtime.doors.watch import Watched
from services.runtime.errors import DependencyUnavailable, DomainError, ImageTooLarge, InvalidAnswer, OutOfTime
from services.runtime.limits import MAX_DEADLINE_SECONDS
from services.runtime.server.tracing import client_span
from services.web.access import visit
from services.web.access.visit import Metadata
from services.web.settings import WebSettings

SERVICES = (
    recognizer_pb2.DESCRIPTOR.services_by_name["RecognizerService"],
    enrollment_pb2.DESCRIPTOR.services_by_name["EnrollmentService"],
)
"""What of the contract is served over HTTP, too."""
RECOGNIZE, STREAM, LIST = (
    SERVICES[0].methods_by_name[name] for name in ("RecognizeImage", "StreamRecognizeImage", "ListRecognizers")
)
ENROLL, REMOVE_FACES = (SERVICES[1].methods_by_name[name] for name in ("EnrollFaces", "RemoveFaces"))

_FAILURES: Mapping[grpc.StatusCode, tuple[type[DomainError], str]] = {
    grpc.StatusCode.UNAVAILABLE: (DependencyUnavailable, "The gateway cannot be reached. Try again in a moment."),
    grpc.StatusCode.DEADLINE_EXCEEDED: (OutOfTime, "The gateway did not answer in time. Try again."),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (ImageTooLarge, "With all around it the picture is over the limit of 16 MiB."),
}
"""What gRPC itself reports of a call → the error for the visitor."""
logger = structlog.get_logger()


class Gateway:
    """The gateway. Raises ValueError and OSError for files that cannot be used."""

    def __init__(self, settings: WebSettings) -> None:
        self._connection = Connection(settings.web_gateway, settings.gateway_tls, settings.web_gateway_token_file)

    def files(self) -> Sequence[Watched[Any]]:
        """Return what to read again when it changes."""
        return self._connection.files()

    def relaying(self, caller: Caller) -> Metadata:
        """Return metadata with which the page calls for a visitor; none if it has nothing to show who it is."""
        return self._connection.relaying(caller.name, caller.daily_micro_usd)

    async def call(self, method: MethodDescriptor, request: Message, timeout: float | None = None) -> Any:
        """Return the response of a unary method, called for the current visitor.

        `timeout` is in seconds; None: the gateway's default. Raises StatusError, and DomainError for what the visitor
        may not do.
        """
        with _calling(method, request) as metadata:
            call: Any = self._connection.channel().unary_unary(path_of(method), _serialize, _response(method))
            response = await call(request, metadata=metadata, timeout=_bounded(timeout))
        caller = visit.current().caller
        return without_spending(response, caller) if method is LIST and caller is not None else response

    async def stream(
        self, method: MethodDescriptor, request: Message, timeout: float | None = None
    ) -> AsyncGenerator[Any, None]:
        """Yield the responses of a streaming method as they come. Closing the iterator cancels the call.

        Parameters and errors are those of `call`.
        """
        with _calling(method, request) as metadata:
            start: Any = self._connection.channel().unary_stream(path_of(method), _serialize, _response(method))
            call = start(request, metadata=metadata, timeout=_bounded(timeout))
            try:
                async for response in call:
                    yield response
            finally:
                call.cancel()

    async def close(self) -> None:
        """Close the connection; calls that are running are cancelled."""
        await self._connection.close()


def path_of(method: MethodDescriptor) -> str:
    """Return the path of a method: "/service/method"."""
    return f"/{method.containing_service.full_name}/{method.name}"


@contextmanager
def _calling(method: MethodDescriptor, request: Message) -> Iterator[Metadata]:
    """Yield what the gateway is shown, and trace the call. Raises what `call` does, in place of gRPC's errors."""
    metadata = _checked(method, request)
    span, code = client_span(path_of(method), "gateway"), grpc.StatusCode.CANCELLED
    try:
        yield (*metadata, *span.metadata)
        code = grpc.StatusCode.OK
    except grpc.aio.AioRpcError as exc:
        code = exc.code()
        raise _error(exc) from None
    finally:
        span.end(code)


def _checked(method: MethodDescriptor, request: Message) -> Metadata:
    """Return what the gateway is shown for the current visitor. Raises DomainError if they may not make the call.

    A request without an ID of its own gets that of the HTTP request.
    """
    if getattr(request, "request_id", None) == "":
        request.request_id = get_contextvars().get("request_id", "")  # type: ignore[attr-defined] # the line above
    here = visit.current()
    here.check(path_of(method), request)
    return here.metadata


def _error(failure: grpc.aio.AioRpcError) -> Exception:
    """Return what a call failed with. What gRPC itself says, which names addresses, goes no further.

    If the page's own credentials are refused, no visitor is asked for theirs.
    """
    answer = status.from_rpc_error(failure)
    is_own = visit.current().caller is not None and status.reason_of(answer) != "CREDENTIALS_REFUSED"
    if is_own and (failure.code() is grpc.StatusCode.UNAUTHENTICATED or status.reason_of(answer) == "RELAY_FORBIDDEN"):
        logger.error("gateway refuses the page", reason=status.reason_of(answer), error=answer.message)
        return DependencyUnavailable("The gateway refuses this page itself. Whoever runs Marquee has to mend that.")
    if status.reason_of(answer):
        return status.StatusError(answer)
    kind, message = _FAILURES.get(failure.code(), (InvalidAnswer, "The gateway gave an answer that makes no sense."))
    logger.warning("gateway failed", code=failure.code().name, error=answer.message)
    return kind(message)


def _serialize(request: Message) -> bytes:
    return request.SerializeToString()


def _response(method: MethodDescriptor) -> Any:
    return GetMessageClass(method.output_type).FromString


def _bounded(timeout: float | None) -> float | None:
    return None if timeout is None else min(timeout, MAX_DEADLINE_SECONDS)
