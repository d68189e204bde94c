"""Client of a Marquee server: the gateway, or a single recognizer."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self, Unpack

from marquee.channels import DEFAULT_TIMEOUT, check_address, check_timeout, default_address, open_channel, rpc_errors
from marquee.enrollment import Enrollment, FaceId, FaceRemoval, FacesResult, PeopleResult, Removal
from marquee.errors import InternalError, check_enrolled
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
from marquee.v1.enrollment_pb2 import ListFacesRequest, ListFacesResponse, ListPeopleRequest, ListPeopleResponse
from marquee.v1.enrollment_pb2_grpc import EnrollmentServiceStub
from marquee.v1.recognizer_pb2_grpc import RecognizerServiceStub


class Client:
    """A connection to the server at "host:port". Threads may share it.

    Default address: MARQUEE_ADDRESS in the environment, else localhost:50051. Raises InvalidAddress.
    Nothing is sent before the first call. Methods raise MarqueeError, and OSError for a file that
    cannot be read. `timeout` is in seconds, at most a year; None sets no deadline.
    """

    def __init__(self, address: str | None = None) -> None:
        self.address = check_address(address or default_address())
        self._channel = open_channel(self.address)
        self._recognition = RecognizerServiceStub(self._channel)
        self._enrollment = EnrollmentServiceStub(self._channel)

    def recognize(
        self, source: Source, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[CallOptions]
    ) -> Recognition:
        """Recognize a picture: a path, bytes, or "s3://bucket/key"."""
        request = build_request(source, **options)
        with rpc_errors(self.address, request.request_id):
            return read(Recognition, self._recognition.RecognizeImage(request, timeout=check_timeout(timeout)))

    def stream(
        self, source: Source, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[CallOptions]
    ) -> Iterator[Recognition]:
        """Yield the recognition so far each time a recognizer has responded.

        `results[-1]` is the new result. The last item also has labels and verdicts, as from `recognize`.
        """
        request = build_request(source, **options)
        return self._stream(request, timeout)

    def recognizers(self, *, timeout: float | None = DEFAULT_TIMEOUT) -> tuple[Recognizer, ...]:
        """Return the recognizers behind the server, in the order in which they are called."""
        with rpc_errors(self.address):
            response = self._recognition.ListRecognizers(pb.ListRecognizersRequest(), timeout=check_timeout(timeout))
        return tuple(read(Recognizer, recognizer) for recognizer in response.recognizers)

    def enroll(
        self,
        sources: Sequence[Source] | Source,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[EnrollmentOptions],
    ) -> Enrollment:
        """Enroll one person's face, without training, from pictures that show nobody else.

        Takes up to 32 pictures, 16 MiB in total; without any it renames a known person. Safe to repeat.
        A refused picture has a status that says what to do about it. If every picture was refused by every
        recognizer that looked at it, this raises what they were refused for, such as UnfitFace or
        FaceAlreadyEnrolled or NameTaken, with the response as its `enrollment`.
        """
        request = build_enrollment(sources, **options)
        with rpc_errors(self.address, request.request_id):
            response = self._enrollment.EnrollFaces(request, timeout=check_timeout(timeout))
        return check_enrolled(read(Enrollment, response))

    def remove_person(
        self, person_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[RemovalOptions]
    ) -> Removal:
        """Remove a person's enrolled faces. Removing an unknown person is a no-op."""
        request = build_removal(person_id, **options)
        with rpc_errors(self.address, request.request_id):
            return read(Removal, self._enrollment.RemovePerson(request, timeout=check_timeout(timeout)))

    def remove_faces(
        self,
        faces: Sequence[FaceId | str] | FaceId | str,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[FaceRemovalOptions],
    ) -> FaceRemoval:
        """Remove single faces: each a FaceId, or the SHA-256 of its picture for the faces at all recognizers.

        Takes up to 64, each with a status of its own. Removing a face that is not enrolled is a no-op.
        """
        request = build_face_removal(faces, **options)
        with rpc_errors(self.address, request.request_id):
            return read(FaceRemoval, self._enrollment.RemoveFaces(request, timeout=check_timeout(timeout)))

    def list_faces(
        self, person_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[PeopleOptions]
    ) -> tuple[FacesResult, ...]:
        """Return all of a person's enrolled faces at each recognizer; `timeout` is per 1000 faces."""
        request = build_face_listing(person_id, **options)
        pages: list[ListFacesResponse] = []
        with rpc_errors(self.address):
            while not pages or request.page_token:
                pages.append(self._enrollment.ListFaces(request, timeout=check_timeout(timeout)))
                request.page_token = next_page_token(request, pages[-1])
        return join_face_pages(pages)

    def people(
        self, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[PeopleOptions]
    ) -> tuple[PeopleResult, ...]:
        """Return all people whom each recognizer knows; `timeout` is per 1000 people."""
        request = build_listing(**options)
        pages: list[ListPeopleResponse] = []
        with rpc_errors(self.address):
            while not pages or request.page_token:
                pages.append(self._enrollment.ListPeople(request, timeout=check_timeout(timeout)))
                request.page_token = next_page_token(request, pages[-1])
        return join_pages(pages)

    def close(self) -> None:
        """Close the connection and cancel running calls."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _stream(self, request: pb.RecognizeImageRequest, timeout: float | None) -> Iterator[Recognition]:
        call = self._recognition.StreamRecognizeImage(request, timeout=check_timeout(timeout))
        response = pb.RecognizeImageResponse()
        try:
            with rpc_errors(self.address, request.request_id):
                for part in call:
                    response = join_parts(response, part)
                    yield read(Recognition, response)
        finally:
            call.cancel()


def join_parts(response: pb.RecognizeImageResponse, part: pb.RecognizeImageResponse) -> pb.RecognizeImageResponse:
    """Add a part of a stream to the response so far, as a new message: Recognitions keep the old one."""
    joined = pb.RecognizeImageResponse()
    joined.CopyFrom(response)
    joined.MergeFrom(part)
    return joined


def next_page_token(request: ListPeopleRequest | ListFacesRequest, page: ListPeopleResponse | ListFacesResponse) -> str:
    """Return the token of the next page, empty after the last. Raises InternalError if it is this page's: for ever."""
    if page.next_page_token and page.next_page_token == request.page_token:
        raise InternalError("The server names the same page again and again.", code="INTERNAL")
    return page.next_page_token


def join_pages(pages: Sequence[ListPeopleResponse]) -> tuple[PeopleResult, ...]:
    """Join all pages of people to one result per recognizer, with the status of its last page."""
    joined: dict[str, PeopleResult] = {}
    for result in (read(PeopleResult, message) for page in pages for message in page.results):
        earlier = joined[result.recognizer].people if result.recognizer in joined else ()
        joined[result.recognizer] = replace(result, people=earlier + result.people)
    return tuple(joined.values())


def join_face_pages(pages: Sequence[ListFacesResponse]) -> tuple[FacesResult, ...]:
    """Join all pages of faces to one result per recognizer, with the status of its last page."""
    joined: dict[str, FacesResult] = {}
    for result in (read(FacesResult, message) for page in pages for message in page.results):
        earlier = joined[result.recognizer].faces if result.recognizer in joined else ()
        joined[result.recognizer] = replace(result, faces=earlier + result.faces)
    return tuple(joined.values())
