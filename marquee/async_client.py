"""Client of a Marquee server for asyncio."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from functools import cached_property
from typing import TYPE_CHECKING, Unpack

from marquee.channels.calls import AsyncCalls, next_page_token
from marquee.channels.connection import DEFAULT_TIMEOUT, Connection, ConnectionOptions
from marquee.client import join_face_pages, join_pages, join_parts, listed
from marquee.enrollment import Enrollment, FaceId, FaceRemoval, FacesResult, PeopleResult, Removal, check_enrolled
from marquee.records import Listing, read
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
from marquee.sources import Picture, Source, is_s3
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1.enrollment_pb2 import ListFacesResponse, ListPeopleResponse
from marquee.v1.enrollment_pb2_grpc import EnrollmentServiceStub
from marquee.v1.recognizer_pb2_grpc import RecognizerServiceStub

if TYPE_CHECKING:  # exist in the .pyi alone
    from marquee.v1.enrollment_pb2_grpc import EnrollmentServiceAsyncStub
    from marquee.v1.recognizer_pb2_grpc import RecognizerServiceAsyncStub


class AsyncClient(AsyncCalls):
    """Client for asyncio; see Client, whose methods it has."""

    def __init__(self, address: str | None = None, **options: Unpack[ConnectionOptions]) -> None:
        super().__init__(Connection(address, **options))

    async def recognize(
        self, source: Source, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[CallOptions]
    ) -> Recognition:
        """Recognize a picture: a path, bytes, or "s3://bucket/key"."""
        picture, request = Picture(source), await _request(source, **options)
        answer = await self._call(self._recognition.RecognizeImage, request, timeout)
        return read(Recognition, answer, picture=picture)

    async def stream(
        self, source: Source, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[CallOptions]
    ) -> AsyncIterator[Recognition]:
        """Yield the recognition so far each time a recognizer has responded; see Client.stream."""
        picture, request = Picture(source), await _request(source, **options)
        response = pb.RecognizeImageResponse()
        async with aclosing(self._parts(self._recognition.StreamRecognizeImage, request, timeout)) as parts:
            async for part in parts:
                response = join_parts(response, part)
                yield read(Recognition, response, picture=picture)

    async def recognizers(self, *, timeout: float | None = DEFAULT_TIMEOUT) -> Listing[Recognizer]:
        """Return the recognizers behind the server, in the order in which they are called."""
        return listed(await self._call(self._recognition.ListRecognizers, pb.ListRecognizersRequest(), timeout))

    async def enroll(
        self,
        sources: Sequence[Source] | Source,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[EnrollmentOptions],
    ) -> Enrollment:
        """Enroll one person's face, without training, from pictures that show nobody else; see Client.enroll."""
        request = await asyncio.to_thread(build_enrollment, sources, **options)
        return check_enrolled(read(Enrollment, await self._call(self._enrollment.EnrollFaces, request, timeout)))

    async def remove_person(
        self, person_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[RemovalOptions]
    ) -> Removal:
        """Remove a person's enrolled faces. Removing an unknown person is a no-op."""
        request = build_removal(person_id, **options)
        return read(Removal, await self._call(self._enrollment.RemovePerson, request, timeout))

    async def remove_faces(
        self,
        faces: Sequence[FaceId | str] | FaceId | str,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[FaceRemovalOptions],
    ) -> FaceRemoval:
        """Remove single faces, each named by a FaceId or its picture's SHA-256; see Client.remove_faces."""
        request = build_face_removal(faces, **options)
        return read(FaceRemoval, await self._call(self._enrollment.RemoveFaces, request, timeout))

    async def list_faces(
        self, person_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[PeopleOptions]
    ) -> Listing[FacesResult]:
        """Return all of a person's enrolled faces at each recognizer; `timeout` is per 1000 faces."""
        request = build_face_listing(person_id, **options)
        pages: list[ListFacesResponse] = []
        while not pages or request.page_token:
            pages.append(await self._call(self._enrollment.ListFaces, request, timeout))
            request.page_token = next_page_token(request, pages[-1])
        return join_face_pages(pages)

    async def people(
        self, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[PeopleOptions]
    ) -> Listing[PeopleResult]:
        """Return all people whom each recognizer knows; `timeout` is per 1000 people."""
        request = build_listing(**options)
        pages: list[ListPeopleResponse] = []
        while not pages or request.page_token:
            pages.append(await self._call(self._enrollment.ListPeople, request, timeout))
            request.page_token = next_page_token(request, pages[-1])
        return join_pages(pages)

    @cached_property
    def _recognition(self) -> "RecognizerServiceAsyncStub":
        return RecognizerServiceStub(self._channel)

    @cached_property
    def _enrollment(self) -> "EnrollmentServiceAsyncStub":
        return EnrollmentServiceStub(self._channel)


async def _request(source: Source, **options: Unpack[CallOptions]) -> pb.RecognizeImageRequest:
    """Build the request, in a thread if there is a file to read: that costs more than the rest of it."""
    is_file = not (is_s3(source) or isinstance(source, bytes | bytearray | memoryview))
    return await asyncio.to_thread(build_request, source, **options) if is_file else build_request(source, **options)
