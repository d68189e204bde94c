"""Talks to a Marquee server: the gateway, or a recognizer alone."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

import grpc

from marquee.channels import default_address, open_aio_channel, open_channel
from marquee.failures import failures
from marquee.recognizers import Recognizer
from marquee.records import read
from marquee.requests import CallOptions, build_request
from marquee.results import Recognition
from marquee.sources import Source
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1.recognizer_pb2_grpc import RecognizerServiceStub

if TYPE_CHECKING:
    from marquee.v1.recognizer_pb2_grpc import RecognizerServiceAsyncStub  # exists in the .pyi alone

DEFAULT_TIMEOUT = 12.0
_LIST = pb.ListRecognizersRequest()


class Client:
    """A connection to the server at "host:port". Threads may share it.

    Without an address: the environment's MARQUEE_ADDRESS, else localhost:50051. Nothing is sent
    before the first call. Methods raise MarqueeError, and OSError for a file that cannot be read;
    `timeout` is in seconds.
    """

    def __init__(self, address: str | None = None) -> None:
        self.address = address or default_address()
        self._channel = open_channel(self.address)
        self._stub = RecognizerServiceStub(self._channel)

    def recognize(
        self, source: Source, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[CallOptions]
    ) -> Recognition:
        """Recognizes a picture: a path, bytes, or "s3://bucket/key"."""
        request = build_request(source, **options)
        with failures(self.address, request.request_id):
            return _recognition(self._stub.RecognizeImage(request, timeout=timeout))

    def stream(
        self, source: Source, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[CallOptions]
    ) -> Iterator[Recognition]:
        """Yields what is known so far each time a recognizer has answered.

        `results[-1]` is the news; the last item has labels and verdicts too, as from `recognize`.
        """
        request = build_request(source, **options)
        return self._stream(request, timeout)

    def recognizers(self, *, timeout: float | None = DEFAULT_TIMEOUT) -> tuple[Recognizer, ...]:
        """The recognizers behind the server, in the order in which they are asked."""
        with failures(self.address):
            return _recognizers(self._stub.ListRecognizers(_LIST, timeout=timeout))

    def close(self) -> None:
        """Closes the connection; calls still running are cancelled."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _stream(self, request: pb.RecognizeImageRequest, timeout: float | None) -> Iterator[Recognition]:
        call = self._stub.StreamRecognizeImage(request, timeout=timeout)
        known = pb.RecognizeImageResponse()
        try:
            with failures(self.address, request.request_id):
                for part in call:
                    known = _merged(known, part)
                    yield _recognition(known)
        finally:
            call.cancel()


class AsyncClient:
    """The same as Client for asyncio."""

    def __init__(self, address: str | None = None) -> None:
        self.address = address or default_address()

    async def recognize(
        self, source: Source, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[CallOptions]
    ) -> Recognition:
        """Recognizes a picture: a path, bytes, or "s3://bucket/key"."""
        request = await asyncio.to_thread(build_request, source, **options)
        with failures(self.address, request.request_id):
            return _recognition(await self._stub.RecognizeImage(request, timeout=timeout))

    async def stream(
        self, source: Source, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[CallOptions]
    ) -> AsyncIterator[Recognition]:
        """Yields what is known so far each time a recognizer has answered; see Client.stream."""
        request = await asyncio.to_thread(build_request, source, **options)
        call = self._stub.StreamRecognizeImage(request, timeout=timeout)
        known = pb.RecognizeImageResponse()
        try:
            with failures(self.address, request.request_id):
                async for part in call:
                    known = _merged(known, part)
                    yield _recognition(known)
        finally:
            call.cancel()

    async def recognizers(self, *, timeout: float | None = DEFAULT_TIMEOUT) -> tuple[Recognizer, ...]:
        """The recognizers behind the server, in the order in which they are asked."""
        with failures(self.address):
            return _recognizers(await self._stub.ListRecognizers(_LIST, timeout=timeout))

    async def close(self) -> None:
        """Closes the connection; calls still running are cancelled."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @cached_property
    def _channel(self) -> grpc.aio.Channel:
        return open_aio_channel(self.address)

    @cached_property
    def _stub(self) -> "RecognizerServiceAsyncStub":
        return RecognizerServiceStub(self._channel)


def _recognition(message: pb.RecognizeImageResponse) -> Recognition:
    return read(Recognition, message, raw=message)


def _recognizers(message: pb.ListRecognizersResponse) -> tuple[Recognizer, ...]:
    return tuple(read(Recognizer, recognizer) for recognizer in message.recognizers)


def _merged(known: pb.RecognizeImageResponse, part: pb.RecognizeImageResponse) -> pb.RecognizeImageResponse:
    """Both as one new message: `known` belongs to an earlier Recognition."""
    merged = pb.RecognizeImageResponse()
    merged.CopyFrom(known)
    merged.MergeFrom(part)
    return merged
