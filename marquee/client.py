"""Talks to a Marquee server: the gateway, or a recognizer alone."""

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self, Unpack

from marquee.answers import enrollment_of, merged, people_of, recognition_of, recognizers_of, removal_of
from marquee.channels import DEFAULT_TIMEOUT, default_address, open_channel
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
        self._enrollment = EnrollmentServiceStub(self._channel)

    def recognize(
        self, source: Source, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[CallOptions]
    ) -> Recognition:
        """Recognizes a picture: a path, bytes, or "s3://bucket/key"."""
        request = build_request(source, **options)
        with failures(self.address, request.request_id):
            return recognition_of(self._stub.RecognizeImage(request, timeout=timeout))

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
            return recognizers_of(self._stub.ListRecognizers(_LIST, timeout=timeout))

    def enroll(
        self,
        sources: Sequence[Source] | Source,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[EnrollmentOptions],
    ) -> Enrollment:
        """Teaches one person's face, without training, from pictures that show nobody else.

        Up to 32 pictures, 16 MiB together. What a recognizer refuses, the result tells with what to do
        about it; where none took any picture, UnfitFace or FaceAlreadyEnrolled is raised, and a
        MarqueeError of another kind where it could not be tried. Safe to repeat.
        """
        request = build_enrollment(sources, **options)
        with failures(self.address, request.request_id):
            return enrollment_of(self._enrollment.EnrollFaces(request, timeout=timeout))

    def remove_person(
        self, person_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[RemovalOptions]
    ) -> Removal:
        """Makes recognizers forget a person who was enrolled; it is no error that one does not know them."""
        request = build_removal(person_id, **options)
        with failures(self.address, request.request_id):
            return removal_of(self._enrollment.RemovePerson(request, timeout=timeout))

    def people(
        self, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[PeopleOptions]
    ) -> tuple[PeopleResult, ...]:
        """Everybody whom each recognizer knows; `timeout` is for a thousand people at a time."""
        request = build_listing(**options)
        pages: list[ListPeopleResponse] = []
        with failures(self.address):
            while not pages or request.page_token:
                pages.append(self._enrollment.ListPeople(request, timeout=timeout))
                request.page_token = pages[-1].next_page_token
        return people_of(pages)

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
                    known = merged(known, part)
                    yield recognition_of(known)
        finally:
            call.cancel()
