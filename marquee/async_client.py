"""Talks to a Marquee server from asyncio."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

import grpc

from marquee.answers import enrollment_of, merged, people_of, recognition_of, recognizers_of, removal_of
from marquee.channels import DEFAULT_TIMEOUT, default_address, open_aio_channel
from marquee.enrollment import Enrollment, PeopleResult, Removal
from marquee.enrollment_requests import (
    EnrollmentOptions,
    PeopleOptions,
    RemovalOptions,
    build_enrollment,
    build_listing,
    build_removal,
)
from marquee.failures import failures
from marquee.recognizers import Recognizer
from marquee.requests import CallOptions, build_request
from marquee.results import Recognition
from marquee.sources import Source
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1.enrollment_pb2 import ListPeopleResponse
from marquee.v1.enrollment_pb2_grpc import EnrollmentServiceStub
from marquee.v1.recognizer_pb2_grpc import RecognizerServiceStub

if TYPE_CHECKING:  # exist in the .pyi alone
    from marquee.v1.enrollment_pb2_grpc import EnrollmentServiceAsyncStub
    from marquee.v1.recognizer_pb2_grpc import RecognizerServiceAsyncStub

_LIST = pb.ListRecognizersRequest()


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
            return recognition_of(await self._stub.RecognizeImage(request, timeout=timeout))

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
                    known = merged(known, part)
                    yield recognition_of(known)
        finally:
            call.cancel()

    async def recognizers(self, *, timeout: float | None = DEFAULT_TIMEOUT) -> tuple[Recognizer, ...]:
        """The recognizers behind the server, in the order in which they are asked."""
        with failures(self.address):
            return recognizers_of(await self._stub.ListRecognizers(_LIST, timeout=timeout))

    async def enroll(
        self,
        sources: Sequence[Source] | Source,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[EnrollmentOptions],
    ) -> Enrollment:
        """Teaches one person's face, without training, from pictures that show nobody else; see Client.enroll."""
        request = await asyncio.to_thread(build_enrollment, sources, **options)
        with failures(self.address, request.request_id):
            return enrollment_of(await self._enrollment.EnrollFaces(request, timeout=timeout))

    async def remove_person(
        self, person_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[RemovalOptions]
    ) -> Removal:
        """Makes recognizers forget a person who was enrolled; it is no error that one does not know them."""
        request = build_removal(person_id, **options)
        with failures(self.address, request.request_id):
            return removal_of(await self._enrollment.RemovePerson(request, timeout=timeout))

    async def people(
        self, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[PeopleOptions]
    ) -> tuple[PeopleResult, ...]:
        """Everybody whom each recognizer knows; `timeout` is for a thousand people at a time."""
        request = build_listing(**options)
        pages: list[ListPeopleResponse] = []
        with failures(self.address):
            while not pages or request.page_token:
                pages.append(await self._enrollment.ListPeople(request, timeout=timeout))
                request.page_token = pages[-1].next_page_token
        return people_of(pages)

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

    @cached_property
    def _enrollment(self) -> "EnrollmentServiceAsyncStub":
        return EnrollmentServiceStub(self._channel)
