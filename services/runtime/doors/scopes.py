"""Scopes: what a caller may do, and which of them each method needs."""

from enum import StrEnum

from marquee.library.v1 import library_pb2
from marquee.v1 import enrollment_pb2, recognizer_pb2


class Scope(StrEnum):
    """What a caller may do."""

    RECOGNIZE = "recognize"
    """Recognize pictures, and list recognizers."""
    ENROLL = "enroll"
    """Enroll, list and remove people and their faces."""
    ADMIN = "admin"
    """See what is spent."""
    RELAY = "relay"
    """Speak for other callers, as a gateway does; see RELAY_KEY of `caller`."""
    LIBRARY_READ = "library-read"
    """Search the library, see and export its pictures."""
    LIBRARY_WRITE = "library-write"
    """Add pictures, put them into categories and into the trash."""
    PEOPLE = "people"
    ERASE = "erase"
    """Erase pictures for good."""


_RECOGNIZER = recognizer_pb2.DESCRIPTOR.services_by_name["RecognizerService"].full_name
_LIBRARY = library_pb2.DESCRIPTOR.services_by_name["LibraryService"].full_name
_ENROLLMENT = enrollment_pb2.DESCRIPTOR.services_by_name["EnrollmentService"].full_name
TABLE: dict[str, Scope] = {
    f"/{_RECOGNIZER}/RecognizeImage": Scope.RECOGNIZE,
    f"/{_RECOGNIZER}/StreamRecognizeImage": Scope.RECOGNIZE,
    f"/{_RECOGNIZER}/ListRecognizers": Scope.RECOGNIZE,
    f"/{_ENROLLMENT}/EnrollFaces": Scope.ENROLL,
    f"/{_ENROLLMENT}/RemoveFaces": Scope.ENROLL,
    f"/{_ENROLLMENT}/RemovePerson": Scope.ENROLL,
    f"/{_ENROLLMENT}/ListPeople": Scope.ENROLL,
    f"/{_ENROLLMENT}/ListFaces": Scope.ENROLL,
    f"/{_LIBRARY}/AddImage": Scope.LIBRARY_WRITE,
    f"/{_LIBRARY}/GetPicture": Scope.LIBRARY_READ,
    f"/{_LIBRARY}/GetPictureContent": Scope.LIBRARY_READ,
    f"/{_LIBRARY}/SearchPictures": Scope.LIBRARY_READ,
    f"/{_LIBRARY}/ExportPictures": Scope.LIBRARY_READ,
    f"/{_LIBRARY}/RecognizePicture": Scope.LIBRARY_WRITE,
    f"/{_LIBRARY}/DeletePicture": Scope.LIBRARY_WRITE,
    f"/{_LIBRARY}/UndeletePicture": Scope.LIBRARY_WRITE,
    f"/{_LIBRARY}/ErasePicture": Scope.ERASE,
    f"/{_LIBRARY}/SetCategory": Scope.LIBRARY_WRITE,
    f"/{_LIBRARY}/ListCategories": Scope.LIBRARY_READ,
    f"/{_LIBRARY}/DeleteCategory": Scope.LIBRARY_WRITE,
    f"/{_LIBRARY}/CategorizePicture": Scope.LIBRARY_WRITE,
    f"/{_LIBRARY}/ListEvents": Scope.LIBRARY_READ,
    f"/{_LIBRARY}/ListJobs": Scope.LIBRARY_READ,
    f"/{_LIBRARY}/RetryJobs": Scope.LIBRARY_WRITE,
    f"/{_LIBRARY}/ImportAnswers": Scope.LIBRARY_WRITE,
}
"""Scope that each method needs, by its path. A method that is not here is denied to everybody."""
OPEN = frozenset(f"/grpc.health.v1.Health/{method}" for method in ("Check", "List", "Watch"))
"""Methods that need no caller: load balancers and kubelets have no credentials."""
REFLECTION = frozenset(
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha")
)
"""Methods that any caller may use, whatever its scopes; MARQUEE_REFLECTION opens or closes them."""
