"""Clients' common part: a channel to a server, and calls over it whose errors are exceptions of Marquee."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from functools import cached_property
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from google.protobuf.message import Message

from marquee.channels.connection import Connection, check_timeout
from marquee.channels.failure import parsed
from marquee.errors import InternalError
from marquee.records import Record, read

M = TypeVar("M", bound=Message)
R = TypeVar("R", bound=Record)


class Calls:
    """Calls of one server. Threads may share it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.address = connection.address.text
        self._channel = connection.open()

    def close(self) -> None:
        """Close the connection and cancel running calls."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, method: Callable[..., M], request: Any, timeout: float | None) -> M:
        """Return the response. Raises MarqueeError for gRPC's errors, and what the token's source raises."""
        try:
            return method(request, timeout=check_timeout(timeout), metadata=self._connection.metadata())
        except grpc.RpcError as error:
            raise self._connection.error_of(error, getattr(request, "request_id", "")) from error

    def _parts(self, method: Callable[..., Any], request: Any, timeout: float | None) -> Generator[Any]:
        """Yield the messages of a stream, which ends with the iterator. Raises as `_call` does."""
        call = method(request, timeout=check_timeout(timeout), metadata=self._connection.metadata())
        try:
            yield from call
        except grpc.RpcError as error:
            raise self._connection.error_of(error, request.request_id) from error
        finally:
            call.cancel()

    def _pages(
        self, method: Callable[..., Any], request: Any, timeout: float | None, kind: type[R], field: str
    ) -> Iterator[R]:
        """Yield the items in the field of all pages from the request's on."""
        while True:
            page = self._call(method, request, timeout)
            yield from (read(kind, message) for message in getattr(page, field))
            if not (token := next_page_token(request, page)):
                return
            request.page_token = token


class AsyncCalls:
    """The same for asyncio. What may block does so in a thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.address = connection.address.text

    async def close(self) -> None:
        """Close the connection and cancel running calls."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(self, method: Callable[..., Awaitable[M]], request: Any, timeout: float | None) -> M:
        """Return the response; see Calls._call."""
        metadata = await self._metadata()
        try:
            return parsed(await method(request, timeout=check_timeout(timeout), metadata=metadata))
        except grpc.RpcError as error:
            request_id = getattr(request, "request_id", "")
            raise await asyncio.to_thread(self._connection.error_of, error, request_id) from error

    async def _parts(self, method: Callable[..., Any], request: Any, timeout: float | None) -> AsyncGenerator[Any]:
        """Yield the messages of a stream; see Calls._parts."""
        metadata = await self._metadata()
        call = method(request, timeout=check_timeout(timeout), metadata=metadata)
        try:
            async for part in call:
                yield parsed(part)
        except grpc.RpcError as error:
            raise await asyncio.to_thread(self._connection.error_of, error, request.request_id) from error
        finally:
            call.cancel()

    async def _pages(
        self, method: Callable[..., Any], request: Any, timeout: float | None, kind: type[R], field: str
    ) -> AsyncIterator[R]:
        """Yield the items in the field of all pages from the request's on."""
        while True:
            page = await self._call(method, request, timeout)
            for message in getattr(page, field):
                yield read(kind, message)
            if not (token := next_page_token(request, page)):
                return
            request.page_token = token

    async def _metadata(self) -> tuple[tuple[str, str], ...]:
        connection = self._connection
        return connection.metadata() if connection.is_constant else await asyncio.to_thread(connection.metadata)

    @cached_property
    def _channel(self) -> grpc.aio.Channel:
        """Opened inside the event loop that uses it."""
        return self._connection.open_aio()


def next_page_token(request: Any, page: Any) -> str:
    """Return the token of the next page, empty after the last. Raises InternalError if it is this page's: for ever."""
    token: str = page.next_page_token
    if token and token == request.page_token:
        raise InternalError("The server names the same page again and again.", code="INTERNAL")
    return token
