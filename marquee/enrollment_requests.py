"""From what a caller writes to a request of EnrollmentService."""

import uuid
from collections.abc import Sequence
from os import PathLike
from typing import TypedDict

from marquee.channels import MAX_MESSAGE_BYTES
from marquee.errors import InvalidRequest
from marquee.requests import listed
from marquee.sources import Source, image_of
from marquee.v1 import enrollment_pb2 as pb

_PAGE_SIZE = 1000


class PeopleOptions(TypedDict, total=False):
    """Whose people are meant."""

    collection: str
    """Empty: the operator's default. A recognizer without collections skips a call that names one."""
    recognizers: Sequence[str]
    """Names as `recognizers()` lists them. Empty: all that enroll."""


class RemovalOptions(PeopleOptions, total=False):
    """What a removal may say besides the person."""

    request_id: str
    """Names the call in logs, 1 to 128 of A-Z a-z 0-9 . _ : - . Empty: made here."""


class EnrollmentOptions(RemovalOptions, total=False):
    """What an enrollment may say besides the pictures."""

    display_name: str
    """A name for people to read. Required for somebody new; another one than before renames the person."""
    person_id: str
    """Names the person for good. Empty: made of display_name, the same for the same name."""
    allow_similar: bool
    """Enroll also a face that is taken for another person's, such as a twin's."""


def build_enrollment(  # noqa: PLR0913 - each is an option of the call
    sources: Sequence[Source] | Source,
    *,
    display_name: str = "",
    person_id: str = "",
    allow_similar: bool = False,
    collection: str = "",
    recognizers: Sequence[str] = (),
    request_id: str = "",
) -> pb.EnrollFacesRequest:
    """The request; EnrollmentOptions tells what each option means. Raises InvalidRequest, ImageTooLarge, OSError."""
    request = pb.EnrollFacesRequest(
        request_id=request_id or uuid.uuid4().hex,
        person_id=person_id,
        display_name=display_name,
        collection=collection,
        recognizers=listed(recognizers),
        allow_similar=allow_similar,
    )
    for source in _several(sources):
        request.images.append(image_of(source))
        _check_size(request)
    return request


def build_removal(
    person_id: str, *, collection: str = "", recognizers: Sequence[str] = (), request_id: str = ""
) -> pb.RemovePersonRequest:
    """The request; RemovalOptions tells what each option means."""
    return pb.RemovePersonRequest(
        request_id=request_id or uuid.uuid4().hex,
        person_id=person_id,
        collection=collection,
        recognizers=listed(recognizers),
    )


def build_listing(*, collection: str = "", recognizers: Sequence[str] = ()) -> pb.ListPeopleRequest:
    """The first page's request, for as many people as a page may have."""
    return pb.ListPeopleRequest(page_size=_PAGE_SIZE, collection=collection, recognizers=listed(recognizers))


def _several(sources: Sequence[Source] | Source) -> Sequence[Source]:
    """A lone picture is one, not a sequence of letters or bytes."""
    alone = isinstance(sources, str | PathLike | bytes | bytearray | memoryview)
    return (sources,) if alone else sources  # type: ignore[return-value]  # mypy does not see that it is checked


def _check_size(request: pb.EnrollFacesRequest) -> None:
    """What the server could not even receive is told before it is sent."""
    if request.ByteSize() > MAX_MESSAGE_BYTES:
        raise InvalidRequest(
            f"The first {len(request.images)} pictures have more than 16 MiB together, the most of a call: "
            "enroll fewer at a time, or smaller ones.",
            code="INVALID_ARGUMENT",
            reason="INVALID_REQUEST",
            metadata={"field": "images"},
        )
