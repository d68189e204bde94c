"""Scopes: what a caller may do, and which of them each method needs."""

from enum import StrEnum

from marquee.library.v1 import library_pb2, notification_pb2, people_pb2
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
    """Add pictures, put them into categories and into the trash, and have others notified of them."""
    PEOPLE = "people"
    """Name the people of the library, look them up and correct whom faces show."""
    ERASE = "erase"
    """Erase pictures and people for good."""


_RECOGNIZER = recognizer_pb2.DESCRIPTOR.services_by_name["RecognizerService"].full_name
_LIBRARY = library_pb2.DESCRIPTOR.services_by_name["LibraryService"].full_name
_PEOPLE = people_pb2.DESCRIPTOR.services_by_name["PeopleService"].full_name
_NOTIFICATION = notification_pb2.DESCRIPTOR.services_by_name["NotificationService"].full_name
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
    f"/{_NOTIFICATION}/SetNotificationRule": Scope.LIBRARY_WRITE,
    f"/{_NOTIFICATION}/ListNotificationRules": Scope.LIBRARY_READ,
    f"/{_NOTIFICATION}/DeleteNotificationRule": Scope.LIBRARY_WRITE,
    f"/{_NOTIFICATION}/ListChannels": Scope.LIBRARY_READ,
    f"/{_NOTIFICATION}/TestChannel": Scope.LIBRARY_WRITE,
    f"/{_NOTIFICATION}/ListDeliveries": Scope.LIBRARY_READ,
    f"/{_NOTIFICATION}/RetryDeliveries": Scope.LIBRARY_WRITE,
    f"/{_PEOPLE}/CreatePerson": Scope.PEOPLE,
    f"/{_PEOPLE}/GetPerson": Scope.PEOPLE,
    f"/{_PEOPLE}/SearchPeople": Scope.PEOPLE,
    f"/{_PEOPLE}/UpdatePerson": Scope.PEOPLE,
    f"/{_PEOPLE}/MergePeople": Scope.PEOPLE,
    f"/{_PEOPLE}/SeparatePeople": Scope.PEOPLE,
    f"/{_PEOPLE}/DeletePerson": Scope.PEOPLE,
    f"/{_PEOPLE}/ProposeSplit": Scope.PEOPLE,
    f"/{_PEOPLE}/FindFaces": Scope.PEOPLE,
    f"/{_PEOPLE}/GetFaceContent": Scope.PEOPLE,
    f"/{_PEOPLE}/NameFaces": Scope.PEOPLE,
    f"/{_PEOPLE}/RefuseFaces": Scope.PEOPLE,
    f"/{_PEOPLE}/MarkFaces": Scope.PEOPLE,
    f"/{_PEOPLE}/DrawFace": Scope.PEOPLE,
    f"/{_PEOPLE}/NextSuggestion": Scope.PEOPLE,
    f"/{_PEOPLE}/AnswerSuggestion": Scope.PEOPLE,
    f"/{_PEOPLE}/ListClusters": Scope.PEOPLE,
    f"/{_PEOPLE}/ExplainFace": Scope.PEOPLE,
    f"/{_PEOPLE}/UndoAction": Scope.PEOPLE,
    f"/{_PEOPLE}/ListActions": Scope.PEOPLE,
    f"/{_PEOPLE}/FindSimilarFaces": Scope.PEOPLE,
    f"/{_PEOPLE}/CheckIndex": Scope.PEOPLE,
    f"/{_PEOPLE}/ListVectorModels": Scope.PEOPLE,
    f"/{_PEOPLE}/EmbedFaces": Scope.PEOPLE,
    f"/{_PEOPLE}/CompareModels": Scope.PEOPLE,
    f"/{_PEOPLE}/UseModel": Scope.PEOPLE,
    f"/{_PEOPLE}/ExportDecisions": Scope.PEOPLE,
    f"/{_PEOPLE}/EnrollPerson": Scope.PEOPLE,
    f"/{_PEOPLE}/ReconcilePeople": Scope.PEOPLE,
    f"/{_PEOPLE}/AdoptPeople": Scope.PEOPLE,
    f"/{_PEOPLE}/ErasePerson": Scope.ERASE,
    f"/{_PEOPLE}/ExportPerson": Scope.PEOPLE,
    f"/{_PEOPLE}/ListAudits": Scope.PEOPLE,
}
"""Scope that each method needs, by its path. A method that is not here is denied to everybody."""
OPEN = frozenset(f"/grpc.health.v1.Health/{method}" for method in ("Check", "List", "Watch"))
"""Methods that need no caller: load balancers and kubelets have no credentials."""
REFLECTION = frozenset(
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha")
)
"""Methods that any caller may use, whatever its scopes; MARQUEE_REFLECTION opens or closes them."""
