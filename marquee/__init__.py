"""Python client of Marquee, which recognizes people in pictures.

import marquee

with marquee.Client("localhost:50051") as client:
    for verdict in client.recognize("photo.jpg").verdicts:
        print(verdict.state, verdict.display_name, verdict.score)
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
    from marquee.enums import EnrollmentState, Feature, Outcome, Policy, RecognizerState, TextType, VerdictState
    from marquee.errors import (
        Aborted,
        AlreadyExists,
        BudgetExhausted,
        CallerBudgetExhausted,
        Cancelled,
        CertificateUnknown,
        CollectionForbidden,
        CredentialsMissing,
        DeadlineExceeded,
        FaceAlreadyEnrolled,
        FailedPrecondition,
        ImageTooLarge,
        InternalError,
        InvalidAddress,
        InvalidCredentials,
        InvalidImage,
        InvalidRequest,
        MarqueeError,
        NameTaken,
        NotFound,
        PermissionDenied,
        PersonNotFound,
        RateExceeded,
        RelayForbidden,
        ResourceExhausted,
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
    from marquee.records import Status
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
        GroupCalls,
        ImageInfo,
        Label,
        LabelInstance,
        Landmark,
        Model,
        ModerationLabel,
        Pose,
        Price,
        PriceGroup,
        PriceTier,
        Recognition,
        Recognizer,
        RecognizerResult,
        RecognizerTimings,
        Spending,
        Support,
        Text,
        Verdict,
    )

__all__ = [
    "Aborted",
    "AlreadyExists",
    "AsyncClient",
    "Box",
    "BudgetExhausted",
    "CallOptions",
    "CallTimings",
    "CallerBudgetExhausted",
    "Cancelled",
    "Candidate",
    "CertificateUnknown",
    "Client",
    "CollectionForbidden",
    "ConnectionOptions",
    "CredentialsMissing",
    "DeadlineExceeded",
    "Embedding",
    "EnrolledFace",
    "Enrollment",
    "EnrollmentOptions",
    "EnrollmentResult",
    "EnrollmentState",
    "Face",
    "FaceAlreadyEnrolled",
    "FaceAttribute",
    "FaceId",
    "FaceKey",
    "FaceQuality",
    "FaceRemoval",
    "FaceRemovalOptions",
    "FaceRemovalResult",
    "FacesResult",
    "FailedPrecondition",
    "Feature",
    "FeatureError",
    "GroupCalls",
    "ImageInfo",
    "ImageTooLarge",
    "InternalError",
    "InvalidAddress",
    "InvalidCredentials",
    "InvalidImage",
    "InvalidRequest",
    "Label",
    "LabelInstance",
    "Landmark",
    "MarqueeError",
    "Model",
    "ModerationLabel",
    "NameTaken",
    "NotFound",
    "Outcome",
    "PeopleOptions",
    "PeopleResult",
    "PermissionDenied",
    "Person",
    "PersonFace",
    "PersonNotFound",
    "Policy",
    "Pose",
    "Price",
    "PriceGroup",
    "PriceTier",
    "RateExceeded",
    "Recognition",
    "Recognizer",
    "RecognizerOptions",
    "RecognizerResult",
    "RecognizerState",
    "RecognizerTimings",
    "RelayForbidden",
    "Removal",
    "RemovalOptions",
    "RemovalResult",
    "RemovedFace",
    "ResourceExhausted",
    "S3Object",
    "ScopeMissing",
    "Spending",
    "Status",
    "Support",
    "Text",
    "TextType",
    "TlsError",
    "TokenExpired",
    "TokenInvalid",
    "TokenUnknown",
    "Unauthenticated",
    "Unavailable",
    "UnfitFace",
    "Unimplemented",
    "UnknownRecognizer",
    "Unreachable",
    "Verdict",
    "VerdictState",
]

_MODULES = (
    "enums",
    "errors",
    "records",
    "results",
    "enrollment",
    "requests",
    "client",
    "async_client",
    "channels.connection",
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
