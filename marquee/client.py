"""Client of a Marquee server: the gateway, or a single recognizer."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Unpack

from marquee.channels.calls import Calls, next_page_token
from marquee.channels.connection import DEFAULT_TIMEOUT, Connection, ConnectionOptions
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
from marquee.sources import Picture, Source
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1.enrollment_pb2 import ListFacesResponse, ListPeopleResponse
from marquee.v1.enrollment_pb2_grpc import EnrollmentServiceStub
from marquee.v1.recognizer_pb2_grpc import RecognizerServiceStub


class Client(Calls):
    """A connection to the server at "https://host" (TLS, port 443 unless given) or "host:port". Threads may share it.

    Default address: MARQUEE_ADDRESS in the environment, else localhost:50051. "host:port" is plaintext
    unless `tls`, `ca`, `cert` or `server_name` is given; see ConnectionOptions.
    Raises InvalidAddress, InvalidCredentials, and OSError for a file that cannot be read. Nothing is sent
    before the first call. Methods raise MarqueeError, and OSError likewise. `timeout` is in seconds,
    at most a year; None sets no deadline.
    """

    def __init__(self, address: str | None = None, **options: Unpack[ConnectionOptions]) -> None:
        super().__init__(Connection(address, **options))
        self._recognition = RecognizerServiceStub(self._channel)
        self._enrollment = EnrollmentServiceStub(self._channel)

    def recognize(
        self, source: Source, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[CallOptions]
    ) -> Recognition:
        """Recognize a picture: a path, bytes, or "s3://bucket/key"."""
        picture, request = Picture(source), build_request(source, **options)
        answer = self._call(self._recognition.RecognizeImage, request, timeout)
        return read(Recognition, answer, picture=picture)

    def stream(
        self, source: Source, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[CallOptions]
    ) -> Iterator[Recognition]:
        """Yield the recognition so far each time a recognizer has responded.

        `results[-1]` is the new result. The last item also has labels and verdicts, as from `recognize`.
        """
        picture, request = Picture(source), build_request(source, **options)
        return self._stream(request, picture, timeout)

    def recognizers(self, *, timeout: float | None = DEFAULT_TIMEOUT) -> Listing[Recognizer]:
        """Return the recognizers behind the server, in the order in which they are called."""
        return listed(self._call(self._recognition.ListRecognizers, pb.ListRecognizersRequest(), timeout))

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
        return check_enrolled(read(Enrollment, self._call(self._enrollment.EnrollFaces, request, timeout)))

    def remove_person(
        self, person_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[RemovalOptions]
    ) -> Removal:
        """Remove a person's enrolled faces. Removing an unknown person is a no-op."""
        return read(Removal, self._call(self._enrollment.RemovePerson, build_removal(person_id, **options), timeout))

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
        return read(
            FaceRemoval, self._call(self._enrollment.RemoveFaces, build_face_removal(faces, **options), timeout)
        )

    def list_faces(
        self, person_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[PeopleOptions]
    ) -> Listing[FacesResult]:
        """Return all of a person's enrolled faces at each recognizer; `timeout` is per 1000 faces."""
        request = build_face_listing(person_id, **options)
        pages: list[ListFacesResponse] = []
        while not pages or request.page_token:
            pages.append(self._call(self._enrollment.ListFaces, request, timeout))
            request.page_token = next_page_token(request, pages[-1])
        return join_face_pages(pages)

    def people(
        self, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[PeopleOptions]
    ) -> Listing[PeopleResult]:
        """Return all people whom each recognizer knows; `timeout` is per 1000 people."""
        request = build_listing(**options)
        pages: list[ListPeopleResponse] = []
        while not pages or request.page_token:
            pages.append(self._call(self._enrollment.ListPeople, request, timeout))
            request.page_token = next_page_token(request, pages[-1])
        return join_pages(pages)

    def _stream(
        self, request: pb.RecognizeImageRequest, picture: Picture, timeout: float | None
    ) -> Iterator[Recognition]:
        response = pb.RecognizeImageResponse()
        with closing(self._parts(self._recognition.StreamRecognizeImage, request, timeout)) as parts:
            for part in parts:
                response = join_parts(response, part)
                yield read(Recognition, response, picture=picture)


def listed(response: pb.ListRecognizersResponse) -> Listing[Recognizer]:
    """Return the recognizers; those that charge say whether what is spent on them is withheld."""
    recognizers = (read(Recognizer, message) for message in response.recognizers)
    return Listing(
        replace(one, spending_withheld=response.spending_withheld and one.spending is None and bool(one.prices))
        for one in recognizers
    )


def join_parts(response: pb.RecognizeImageResponse, part: pb.RecognizeImageResponse) -> pb.RecognizeImageResponse:
    """Add a part of a stream to the response so far, as a new message: Recognitions keep the old one."""
    joined = pb.RecognizeImageResponse()
    joined.CopyFrom(response)
    joined.MergeFrom(part)
    return joined


def join_pages(pages: Sequence[ListPeopleResponse]) -> Listing[PeopleResult]:
    """Join all pages of people to one result per recognizer, with the status of its last page."""
    joined: dict[str, PeopleResult] = {}
    for result in (read(PeopleResult, message) for page in pages for message in page.results):
        earlier = joined[result.recognizer].people if result.recognizer in joined else ()
        joined[result.recognizer] = replace(result, people=earlier + result.people)
    return Listing(joined.values())


def join_face_pages(pages: Sequence[ListFacesResponse]) -> Listing[FacesResult]:
    """Join all pages of faces to one result per recognizer, with the status of its last page."""
    joined: dict[str, FacesResult] = {}
    for result in (read(FacesResult, message) for page in pages for message in page.results):
        earlier = joined[result.recognizer].faces if result.recognizer in joined else ()
        joined[result.recognizer] = replace(result, faces=earlier + result.faces)
    return Listing(joined.values())
