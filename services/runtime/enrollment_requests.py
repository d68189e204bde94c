"""Checks what EnrollmentService is asked, before any work is done. Pure, and the same in the gateway and in leaves."""

from collections.abc import Sequence

from marquee.v1 import enrollment_pb2 as pb
from services.runtime import people
from services.runtime.errors import InvalidRequest
from services.runtime.requests import check_image

MOST_PICTURES = 32
DEFAULT_PAGE_SIZE = 100
MOST_PAGE_SIZE = 1000


def check_enrollment(request: pb.EnrollFacesRequest, s3_allowed: Sequence[str]) -> None:
    """Raises the DomainError that says what is wrong with the request, if anything is."""
    people.check_display_name(request.display_name)
    people.check_person_id(person_id_of(request))
    if len(request.images) > MOST_PICTURES:
        raise InvalidRequest(
            f"images has {len(request.images)} pictures; at most {MOST_PICTURES} a call. Send the rest in another.",
            field="images",
        )
    if not request.images and not request.display_name:
        raise InvalidRequest("Nothing to do: set images, or display_name to rename the person.", field="images")
    for image in request.images:
        check_image(image, s3_allowed)


def person_id_of(request: pb.EnrollFacesRequest) -> str:
    """The request's own, or the one that its display_name makes. Raises InvalidRequest where it has neither."""
    person_id = request.person_id or people.person_id_of(request.display_name)
    if not person_id:
        raise InvalidRequest("Set person_id, or a display_name with letters to make it of.", field="person_id")
    return person_id


def check_removal(request: pb.RemovePersonRequest) -> None:
    """Raises InvalidRequest."""
    people.check_person_id(request.person_id)


def page_size_of(request: pb.ListPeopleRequest) -> int:
    """How many people are asked for at once. Raises InvalidRequest."""
    size = request.page_size if request.HasField("page_size") else DEFAULT_PAGE_SIZE
    if not 1 <= size <= MOST_PAGE_SIZE:
        raise InvalidRequest(f"page_size is {size}; it must be 1 to {MOST_PAGE_SIZE}.", field="page_size")
    return size
