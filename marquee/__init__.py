"""Python client of Marquee, which recognizes people in pictures.

import marquee

with marquee.Client("localhost:50051") as client:
    for verdict in client.recognize("photo.jpg").verdicts:
        print(verdict.state, verdict.display_name, verdict.score)

with marquee.LibraryClient("localhost:50052") as library:
    library.add("photo.jpg")
    for picture in library.search(people="Ada Lovelace"):
        print(picture.picture_id, picture.file_name)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from marquee.async_client import AsyncClient
    from marquee.channels.connection import ConnectionOptions
    from marquee.client import Client
    from marquee.enrollment import (
        EnrolledFace,
        Enrollment,
        EnrollmentResult,
        FaceId,
        FaceKey,
        FaceRemoval,
        FaceRemovalResult,
        FacesResult,
        PeopleResult,
        Person,
        PersonFace,
        Removal,
        RemovalResult,
        RemovedFace,
        S3Object,
    )
    from marquee.enums import (
        EnrollmentState,
        Feature,
        Findings,
        Outcome,
        Policy,
        RecognizerState,
        TextType,
        VerdictBasis,
        VerdictState,
    )
    from marquee.errors import (
        Aborted,
        ActionConflict,
        ActionNotFound,
        AlreadyExists,
        BudgetExhausted,
        CallerBudgetExhausted,
        Cancelled,
        CategoryNotFound,
        CertificateUnknown,
        CollectionForbidden,
        ContentMissing,
        CredentialsMissing,
        DeadlineExceeded,
        EtagStale,
        FaceAlreadyEnrolled,
        FaceNotFound,
        FailedPrecondition,
        ImageTooLarge,
        InternalError,
        InvalidAddress,
        InvalidCredentials,
        InvalidImage,
        InvalidRequest,
        MarqueeError,
        ModelNotFound,
        NameTaken,
        NotFound,
        PeopleSeparated,
        PermissionDenied,
        PersonNotFound,
        PersonTwice,
        PictureErased,
        PictureNotFound,
        RateExceeded,
        RelayForbidden,
        RequestReused,
        ResourceExhausted,
        RuleNotFound,
        ScopeMissing,
        TlsError,
        TokenExpired,
        TokenInvalid,
        TokenUnknown,
        Unauthenticated,
        Unavailable,
        UnfitFace,
        Unimplemented,
        UnknownRecognizer,
        Unreachable,
    )
    from marquee.library.async_client import (
        AsyncLibraryClient,
    )
    from marquee.library.client import (
        LibraryClient,
    )
    from marquee.library.enums import (
        AnswerSource,
        AssignmentSource,
        CategorySource,
        ContentVariant,
        ExportFormat,
        FaceState,
        JobState,
        PictureOrder,
        PictureState,
        TimeSource,
    )
    from marquee.library.notifications.async_client import AsyncNotificationClient
    from marquee.library.notifications.client import NotificationClient
    from marquee.library.notifications.enums import DeliveryState, NotificationTrigger
    from marquee.library.notifications.requests import RuleOptions
    from marquee.library.notifications.results import (
        Channel,
        ChannelTest,
        Delivery,
        DeliveryCounts,
        NotificationOccurrence,
        NotificationRule,
    )
    from marquee.library.people.async_client import (
        AsyncPeopleClient,
    )
    from marquee.library.people.client import (
        PeopleClient,
    )
    from marquee.library.people.enums import (
        Band,
        DecisionForm,
        DifferenceKind,
        FaceEnrollmentState,
        FaceMark,
        SuggestionAnswer,
        SuggestionKind,
    )
    from marquee.library.people.models import (
        Adoption,
        Audit,
        Difference,
        EmbeddingRun,
        FaceEnrollment,
        IndexCheck,
        ModelComparison,
        PersonComparison,
        PersonEnrollment,
        PersonReceipt,
        Reconciliation,
        VectorModel,
        VectorModels,
    )
    from marquee.library.people.requests import (
        AnswerOptions,
        DecisionOptions,
        EnrollmentChoice,
        FaceFilter,
        PersonErasure,
        PersonOptions,
        PersonUpdate,
        RecognizerChoice,
        SimilarOptions,
    )
    from marquee.library.people.results import (
        Action,
        Cluster,
        Decision,
        DrawnFace,
        FaceExplanation,
        FaceGroup,
        FoundFace,
        LibraryPerson,
        NextSuggestion,
        Opinion,
        PersonChange,
        PersonIdentity,
        Refusal,
        SimilarFaces,
        SplitProposal,
        Suggestion,
        Undo,
    )
    from marquee.library.requests import (
        AddOptions,
        PeopleFilter,
        PictureOptions,
        PictureQuery,
        RecognitionOptions,
        TermFilter,
    )
    from marquee.library.results import (
        Addition,
        Answer,
        Category,
        CategoryRule,
        ErasureReceipt,
        Event,
        EventPage,
        ExportRecord,
        ExportSummary,
        ImportResult,
        Job,
        JobCounts,
        LibraryPicture,
        PictureCategory,
        PictureContent,
        PictureFace,
        Place,
    )
    from marquee.records import GroupCalls, Listing, Price, PriceGroup, PriceTier, Spending, Status
    from marquee.requests import (
        CallOptions,
        EnrollmentOptions,
        FaceRemovalOptions,
        PeopleOptions,
        RecognizerOptions,
        RemovalOptions,
    )
    from marquee.results import (
        Box,
        CallTimings,
        Candidate,
        Embedding,
        Face,
        FaceAttribute,
        FaceQuality,
        FeatureError,
        ImageInfo,
        Label,
        LabelInstance,
        Landmark,
        Model,
        ModerationLabel,
        Pose,
        Recognition,
        Recognizer,
        RecognizerResult,
        RecognizerTimings,
        Support,
        Text,
        Verdict,
    )
    from marquee.sources import Picture

# fmt: off
__all__ = [
    "Aborted", "Action", "ActionConflict", "ActionNotFound", "AddOptions", "Addition", "Adoption", "AlreadyExists",
    "Answer", "AnswerOptions", "AnswerSource", "AssignmentSource", "AsyncClient", "AsyncLibraryClient",
    "AsyncNotificationClient", "AsyncPeopleClient", "Audit", "Band", "Box", "BudgetExhausted", "CallOptions",
    "CallTimings", "CallerBudgetExhausted", "Cancelled", "Candidate", "Category", "CategoryNotFound", "CategoryRule",
    "CategorySource", "CertificateUnknown", "Channel", "ChannelTest", "Client", "Cluster", "CollectionForbidden",
    "ConnectionOptions", "ContentMissing", "ContentVariant", "CredentialsMissing", "DeadlineExceeded", "Decision",
    "DecisionForm", "DecisionOptions", "Delivery", "DeliveryCounts", "DeliveryState", "Difference", "DifferenceKind",
    "DrawnFace", "Embedding", "EmbeddingRun", "EnrolledFace", "Enrollment", "EnrollmentChoice", "EnrollmentOptions",
    "EnrollmentResult", "EnrollmentState", "ErasureReceipt", "EtagStale", "Event", "EventPage", "ExportFormat",
    "ExportRecord", "ExportSummary", "Face", "FaceAlreadyEnrolled", "FaceAttribute", "FaceEnrollment",
    "FaceEnrollmentState", "FaceExplanation", "FaceFilter", "FaceGroup", "FaceId", "FaceKey", "FaceMark",
    "FaceNotFound", "FaceQuality", "FaceRemoval", "FaceRemovalOptions", "FaceRemovalResult", "FaceState", "FacesResult",
    "FailedPrecondition", "Feature", "FeatureError", "Findings", "FoundFace", "GroupCalls", "ImageInfo",
    "ImageTooLarge", "ImportResult", "IndexCheck", "InternalError", "InvalidAddress", "InvalidCredentials",
    "InvalidImage", "InvalidRequest", "Job", "JobCounts", "JobState", "Label", "LabelInstance", "Landmark",
    "LibraryClient", "LibraryPerson", "LibraryPicture", "Listing", "MarqueeError", "Model", "ModelComparison",
    "ModelNotFound", "ModerationLabel", "NameTaken", "NextSuggestion", "NotFound", "NotificationClient",
    "NotificationOccurrence", "NotificationRule", "NotificationTrigger", "Opinion", "Outcome", "PeopleClient",
    "PeopleFilter", "PeopleOptions", "PeopleResult", "PeopleSeparated", "PermissionDenied", "Person", "PersonChange",
    "PersonComparison", "PersonEnrollment", "PersonErasure", "PersonFace", "PersonIdentity", "PersonNotFound",
    "PersonOptions", "PersonReceipt", "PersonTwice", "PersonUpdate", "Picture", "PictureCategory", "PictureContent",
    "PictureErased", "PictureFace", "PictureNotFound", "PictureOptions", "PictureOrder", "PictureQuery", "PictureState",
    "Place", "Policy", "Pose", "Price", "PriceGroup", "PriceTier", "RateExceeded", "Recognition", "RecognitionOptions",
    "Recognizer", "RecognizerChoice", "RecognizerOptions", "RecognizerResult", "RecognizerState", "RecognizerTimings",
    "Reconciliation", "Refusal", "RelayForbidden", "Removal", "RemovalOptions", "RemovalResult", "RemovedFace",
    "RequestReused", "ResourceExhausted", "RuleNotFound", "RuleOptions", "S3Object", "ScopeMissing", "SimilarFaces",
    "SimilarOptions", "Spending", "SplitProposal", "Status", "Suggestion", "SuggestionAnswer", "SuggestionKind",
    "Support", "TermFilter", "Text", "TextType", "TimeSource", "TlsError", "TokenExpired", "TokenInvalid",
    "TokenUnknown", "Unauthenticated", "Unavailable", "Undo", "UnfitFace", "Unimplemented", "UnknownRecognizer",
    "Unreachable", "VectorModel", "VectorModels", "Verdict", "VerdictBasis", "VerdictState",
]
# fmt: on

_MODULES = (
    "enums",
    "errors",
    "records",
    "results",
    "enrollment",
    "requests",
    "sources",
    "client",
    "async_client",
    "channels.connection",
    "library.enums",
    "library.results",
    "library.requests",
    "library.client",
    "library.async_client",
    "library.people.enums",
    "library.people.models",
    "library.people.results",
    "library.people.requests",
    "library.people.client",
    "library.people.async_client",
    "library.notifications.enums",
    "library.notifications.results",
    "library.notifications.requests",
    "library.notifications.client",
    "library.notifications.async_client",
)
"""Modules with the public names, imported on first use: gRPC and protobuf take their time."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("marquee")
    if name in __all__:
        modules = (import_module(f"marquee.{module}") for module in _MODULES)
        return next(vars(module)[name] for module in modules if name in vars(module))
    raise AttributeError(f"module 'marquee' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
