"""From the contract's answers to what the clients' methods return."""

from collections.abc import Sequence
from dataclasses import replace

from marquee.enrollment import Enrollment, PeopleResult, Removal
from marquee.recognizers import Recognizer
from marquee.records import read
from marquee.results import Recognition
from marquee.v1 import enrollment_pb2, recognizer_pb2


def recognition_of(message: recognizer_pb2.RecognizeImageResponse) -> Recognition:
    """The answer of RecognizeImage, or what is known of it so far."""
    return read(Recognition, message, raw=message)


def merged(
    known: recognizer_pb2.RecognizeImageResponse, part: recognizer_pb2.RecognizeImageResponse
) -> recognizer_pb2.RecognizeImageResponse:
    """Both parts of a stream as one new message: `known` belongs to an earlier Recognition."""
    both = recognizer_pb2.RecognizeImageResponse()
    both.CopyFrom(known)
    both.MergeFrom(part)
    return both


def recognizers_of(message: recognizer_pb2.ListRecognizersResponse) -> tuple[Recognizer, ...]:
    """The answer of ListRecognizers."""
    return tuple(read(Recognizer, recognizer) for recognizer in message.recognizers)


def enrollment_of(message: enrollment_pb2.EnrollFacesResponse) -> Enrollment:
    """The answer of EnrollFaces."""
    return read(Enrollment, message, raw=message)


def removal_of(message: enrollment_pb2.RemovePersonResponse) -> Removal:
    """The answer of RemovePerson."""
    return read(Removal, message, raw=message)


def people_of(pages: Sequence[enrollment_pb2.ListPeopleResponse]) -> tuple[PeopleResult, ...]:
    """All pages of ListPeople, each recognizer's as one result that ends as its last page did."""
    known: dict[str, PeopleResult] = {}
    for result in (read(PeopleResult, one) for page in pages for one in page.results):
        before = known.get(result.recognizer)
        known[result.recognizer] = replace(result, people=before.people + result.people) if before else result
    return tuple(known.values())
