"""Client of a Marquee server for asyncio."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

import grpc

from marquee.channels import (
    DEFAULT_TIMEOUT,
    check_address,
    check_timeout,
    default_address,
    open_aio_channel,
    parsed,
    rpc_errors,
)
from marquee.client import join_face_pages, join_pages, join_parts, next_page_token
from marquee.enrollment import Enrollment, FaceId, FaceRemoval, FacesResult, PeopleResult, Removal
from marquee.errors import check_enrolled
from marquee.records import read
from marquee.requests import (
    CallOptions,
    EnrollmentOptions,
    FaceRemovalOptions,
    PeopleOptions,
    RemovalOptions,
    build_enrollment,
    build_face_listing,
    build_face_removal,
    build_listing,
    build_removal,
    build_request,
)
from marquee.results import Recognition, Recognizer
from marquee.sources import Source
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1.enrollment_pb2 import ListFacesResponse, ListPeopleResponse
from marquee.v1.enrollment_pb2_grpc import EnrollmentServiceStub
from marquee.v1.recognizer_pb2_grpc import RecognizerServiceStub

if TYPE_CHECKING:  # exist in the .pyi alone
    from marquee.v1.enrollment_pb2_grpc import EnrollmentServiceAsyncStub
    from marquee.v1.recognizer_pb2_grpc import RecognizerServiceAsyncStub


class AsyncClient:
    """Client for asyncio; see Client, whose methods it has."""

    def __init__(self, address: str | None = None) -> None:
        self.address = check_address(address or default_address())

    async def recognize(
        self, source: Source, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[CallOptions]
    ) -> Recognition:
        """Recognize a picture: a path, bytes, or "s3://bucket/key"."""
        request = await asyncio.to_thread(build_request, source, **options)
        with rpc_errors(self.address, request.request_id):
            return read(
                Recognition, parsed(await self._recognition.RecognizeImage(request, timeout=check_timeout(timeout)))
            )

    async def stream(
        self, source: Source, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[CallOptions]
    ) -> AsyncIterator[Recognition]:
        """Yield the recognition so far each time a recognizer has responded; see Client.stream."""
        request = await asyncio.to_thread(build_request, source, **options)
        call = self._recognition.StreamRecognizeImage(request, timeout=check_timeout(timeout))
        response = pb.RecognizeImageResponse()
        try:
            with rpc_errors(self.address, request.request_id):
                async for part in call:
                    response = join_parts(response, parsed(part))
                    yield read(Recognition, response)
        finally:
            call.cancel()

    async def recognizers(self, *, timeout: float | None = DEFAULT_TIMEOUT) -> tuple[Recognizer, ...]:
        """Return the recognizers behind the server, in the order in which they are called."""
        with rpc_errors(self.address):
            response = parsed(
                await self._recognition.ListRecognizers(pb.ListRecognizersRequest(), timeout=check_timeout(timeout))
            )
        return tuple(read(Recognizer, recognizer) for recognizer in response.recognizers)

    async def enroll(
        self,
        sources: Sequence[Source] | Source,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[EnrollmentOptions],
    ) -> Enrollment:
        """Enroll one person's face, without training, from pictures that show nobody else; see Client.enroll."""
        request = await asyncio.to_thread(build_enrollment, sources, **options)
        with rpc_errors(self.address, request.request_id):
            response = parsed(await self._enrollment.EnrollFaces(request, timeout=check_timeout(timeout)))
        return check_enrolled(read(Enrollment, response))

    async def remove_person(
        self, person_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[RemovalOptions]
    ) -> Removal:
        """Remove a person's enrolled faces. Removing an unknown person is a no-op."""
        request = build_removal(person_id, **options)
        with rpc_errors(self.address, request.request_id):
            return read(Removal, parsed(await self._enrollment.RemovePerson(request, timeout=check_timeout(timeout))))

    async def remove_faces(
        self,
        faces: Sequence[FaceId | str] | FaceId | str,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[FaceRemovalOptions],
    ) -> FaceRemoval:
        """Remove single faces, each named by a FaceId or its picture's SHA-256; see Client.remove_faces."""
        request = build_face_removal(faces, **options)
        with rpc_errors(self.address, request.request_id):
            return read(
                FaceRemoval, parsed(await self._enrollment.RemoveFaces(request, timeout=check_timeout(timeout)))
            )

    async def list_faces(
        self, person_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[PeopleOptions]
    ) -> tuple[FacesResult, ...]:
        """Return all of a person's enrolled faces at each recognizer; `timeout` is per 1000 faces."""
        request = build_face_listing(person_id, **options)
        pages: list[ListFacesResponse] = []
        with rpc_errors(self.address):
            while not pages or request.page_token:
                pages.append(parsed(await self._enrollment.ListFaces(request, timeout=check_timeout(timeout))))
                request.page_token = next_page_token(request, pages[-1])
        return join_face_pages(pages)

    async def people(
        self, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[PeopleOptions]
    ) -> tuple[PeopleResult, ...]:
        """Return all people whom each recognizer knows; `timeout` is per 1000 people."""
        request = build_listing(**options)
        pages: list[ListPeopleResponse] = []
        with rpc_errors(self.address):
            while not pages or request.page_token:
                pages.append(parsed(await self._enrollment.ListPeople(request, timeout=check_timeout(timeout))))
                request.page_token = next_page_token(request, pages[-1])
        return join_pages(pages)

    async def close(self) -> None:
        """Close the connection and cancel running calls."""
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
    def _recognition(self) -> "RecognizerServiceAsyncStub":
        return RecognizerServiceStub(self._channel)

    @cached_property
    def _enrollment(self) -> "EnrollmentServiceAsyncStub":
        return EnrollmentServiceStub(self._channel)
