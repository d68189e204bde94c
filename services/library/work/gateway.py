"""The gateway, as the library calls it: for who added the picture, and giving way to those who wait."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc
import structlog
from google.protobuf.message import Message
from google.rpc import status_pb2

from marquee.v1 import recognizer_pb2 as pb
from services.library.settings import LibrarySettings
from services.runtime import status
from services.runtime.doors.credentials import Connection, Metadata
from services.runtime.doors.watch import Watched
from services.runtime.errors import (
    CredentialsRefused,
    DependencyUnavailable,
    InvalidAnswer,
    RelayForbidden,
    ScopeMissing,
)
from services.runtime.server.bulkhead import LOWERED
from services.runtime.server.server import RECOGNIZER_SERVICE
from services.runtime.server.tracing import client_span

logger = structlog.get_logger()
R = TypeVar("R", bound=Message)
_READY_SECONDS = 2.0
_CALL_SECONDS = 60.0
_REFUSALS = frozenset(status.TABLE[one][1] for one in (RelayForbidden, ScopeMissing))
_NOT_OURS = status.TABLE[CredentialsRefused][1]
"""Of UNAUTHENTICATED: the credentials are a recognizer's."""
_AWAY = "The gateway cannot be reached. The picture is tried again until it can."
_REFUSED = "The gateway refuses the library itself. Whoever runs Marquee has to mend that."


@dataclass(frozen=True)
class Method(Generic[R]):
    """A method of the gateway."""

    path: str
    response: type[R]


RECOGNIZE_IMAGE = Method(f"/{RECOGNIZER_SERVICE}/RecognizeImage", pb.RecognizeImageResponse)

LIST_RECOGNIZERS = Method(f"/{RECOGNIZER_SERVICE}/ListRecognizers", pb.ListRecognizersResponse)


class CallFailed(Exception):
    """The gateway was called. `is_answered`: it said why it failed; else nobody knows how far it came."""

    def __init__(self, failure: status_pb2.Status, *, is_answered: bool) -> None:
        super().__init__(failure.message)
        self.status = failure
        self.is_answered = is_answered


class Gateway:
    """The gateway. Raises ValueError and OSError for files that cannot be used."""

    def __init__(self, settings: LibrarySettings) -> None:
        self._connection = Connection(
            settings.library_gateway, settings.gateway_tls, settings.library_gateway_token_file
        )

    def files(self) -> Sequence[Watched[Any]]:
        """Return what to read again when it changes."""
        return self._connection.files()

    async def ready(self) -> None:
        """Return once there is a connection. Raises DependencyUnavailable if there is none for 2 seconds."""
        try:
            async with asyncio.timeout(_READY_SECONDS):
                await self._connection.channel().channel_ready()
        except TimeoutError:
            raise DependencyUnavailable(_AWAY, dependency="gateway") from None

    async def recognize(
        self, request: pb.RecognizeImageRequest, caller: str, daily_micro_usd: int | None
    ) -> pb.RecognizeImageResponse:
        """Return the response to the request, made for the caller. Raises CallFailed."""
        relay = (*self._connection.relaying(caller, daily_micro_usd), *LOWERED)
        return await self._send(RECOGNIZE_IMAGE, request, relay)

    async def call(
        self, method: Method[R], request: Message, caller: str = "", daily_micro_usd: int | None = None
    ) -> R:
        """Return a method's response, called for a caller who waits, or else for the library. Raises CallFailed."""
        return await self._send(method, request, self._connection.relaying(caller, daily_micro_usd))

    async def recognizers(self) -> pb.ListRecognizersResponse:
        """Return the recognizers, as the library itself may see them. Raises DependencyUnavailable."""
        try:
            return await self.call(LIST_RECOGNIZERS, pb.ListRecognizersRequest())
        except CallFailed:
            raise DependencyUnavailable("The gateway does not list its recognizers.", dependency="gateway") from None

    async def _send(self, method: Method[R], request: Message, own: Metadata) -> R:
        span, code = client_span(method.path, "gateway"), grpc.StatusCode.CANCELLED
        send: Any = self._connection.channel().unary_unary(method.path)
        try:
            metadata = (*own, *span.metadata)
            content = await send(request.SerializeToString(), metadata=metadata, timeout=_CALL_SECONDS)
            code = grpc.StatusCode.OK
            return method.response.FromString(content)
        except grpc.aio.AioRpcError as exc:
            code = exc.code()
            raise _failed(exc) from None
        except ValueError:  # protobuf's DecodeError is one
            answer = status.from_exception(InvalidAnswer("The gateway gave an answer that makes no sense."))
            raise CallFailed(answer, is_answered=True) from None
        finally:
            span.end(code)

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()


def _failed(error: grpc.aio.AioRpcError) -> CallFailed:
    """Return what a call failed with. What gRPC itself says, which names addresses, goes no further."""
    answer, code = status.from_rpc_error(error), error.code()
    reason = status.reason_of(answer)
    if reason in _REFUSALS or (code is grpc.StatusCode.UNAUTHENTICATED and reason != _NOT_OURS):
        logger.error("gateway refuses the library", reason=reason, error=answer.message)
        return CallFailed(status.from_exception(DependencyUnavailable(_REFUSED)), is_answered=True)
    if reason:
        return CallFailed(answer, is_answered=True)
    logger.warning("gateway failed", code=code.name, error=answer.message)
    message = f"The gateway did not answer: the call ended with {code.name}."
    return CallFailed(status.make(code, "GATEWAY_FAILED", message), is_answered=False)
