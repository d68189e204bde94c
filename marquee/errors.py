"""Exceptions that calls raise.

    MarqueeError
    ├── InvalidRequest          a field of the request is invalid
    │   ├── InvalidAddress      neither HOST:PORT nor https://HOST
    │   ├── InvalidCredentials  no token or certificate that could be sent
    │   ├── UnknownRecognizer
    │   ├── RequestReused       a request_id that was another request's
    │   └── InvalidImage        not a picture that Marquee can read
    │       ├── ImageTooLarge
    │       └── UnfitFace       no face that can be enrolled
    ├── Unauthenticated         the server does not know the caller
    │   ├── CredentialsMissing
    │   ├── TokenUnknown
    │   ├── TokenExpired
    │   ├── TokenInvalid        a JWT that the server does not trust
    │   └── CertificateUnknown
    ├── PermissionDenied        the caller may not do this
    │   ├── ScopeMissing
    │   ├── CollectionForbidden
    │   └── RelayForbidden      … not speak for another caller
    ├── NotFound                e.g. an object in S3
    │   ├── PersonNotFound
    │   ├── PictureNotFound     in the library's collection
    │   ├── CategoryNotFound
    │   ├── RuleNotFound        of notifications
    │   ├── FaceNotFound
    │   └── ActionNotFound
    ├── AlreadyExists
    │   ├── FaceAlreadyEnrolled as another person
    │   └── NameTaken           by somebody with another face
    ├── FailedPrecondition      the operator has to change something
    │   ├── PictureErased       … and is not to come back
    │   ├── ContentMissing      the library has no file of the picture
    │   ├── PersonTwice         a person would be two faces of one picture
    │   ├── PeopleSeparated     it was decided that they are two
    │   └── ModelNotFound       the library has no vectors of it
    ├── ResourceExhausted       too many calls, or a budget is exhausted
    │   ├── RateExceeded        more calls a second than the caller may make
    │   └── BudgetExhausted
    │       └── CallerBudgetExhausted   … that of the caller
    ├── Unimplemented           the server does not support this
    ├── Aborted                 a concurrent change interfered: retry
    │   ├── ActionConflict      what an action changed has changed since
    │   └── EtagStale           the person has changed since
    ├── DeadlineExceeded        no response in time
    ├── Cancelled               the call was cancelled
    ├── Unavailable             the server cannot respond now
    │   └── Unreachable         no connection to the server
    │       └── TlsError        … since certificates do not fit, or one side has no TLS
    └── InternalError           an error in the server

A file that cannot be read raises OSError, as `open` does.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from marquee.records import Status

if TYPE_CHECKING:
    from marquee.enrollment import Enrollment


class MarqueeError(Exception):
    """Base class of everything that a call raises.

    `message` says what is wrong and what to do. `code` is the name of the gRPC code
    ("INVALID_ARGUMENT"). `reason` is more specific ("IMAGE_TOO_LARGE") or empty. `metadata` has
    details (`field`: the invalid field of the request). `request_id` identifies the call in the
    server's logs. `retry_after` is in seconds: a call before that fails the same way; None: unknown.
    `causes` has the status of each recognizer if all of them failed; if all refused
    the pictures of an enrollment, each of these has the statuses of the pictures as its causes.
    `enrollment` is the response to an enrollment of which every picture was refused, else None.
    """

    def __init__(  # noqa: PLR0913 - each is a fact about the failed call
        self,
        message: str,
        *,
        code: str = "UNKNOWN",
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        request_id: str = "",
        causes: Sequence[Status] = (),
        enrollment: "Enrollment | None" = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.request_id = request_id
        self.causes = tuple(causes)
        self.enrollment = enrollment
        self.retry_after = retry_after


class InvalidRequest(MarqueeError):
    """A field of the request is invalid; metadata `field` names it."""


class InvalidAddress(InvalidRequest):
    """The server's address cannot be read; the message says what to write. Raised when a client is created."""


class InvalidCredentials(InvalidRequest):
    """A token, a certificate or metadata cannot be sent; the message names it.

    Also a token for a server off this machine that is reached in plaintext.
    """


class UnknownRecognizer(InvalidRequest):
    """The server has no recognizer of that name."""


class RequestReused(InvalidRequest):
    """The request_id was that of another request."""


class InvalidImage(InvalidRequest):
    """The picture is missing, damaged, or in an unsupported format."""


class ImageTooLarge(InvalidImage):
    """The picture exceeds the limit on bytes or pixels."""


class UnfitFace(InvalidImage):
    """No face in the picture, or in any of several, can be enrolled.

    `reason` is NO_FACE, SEVERAL_FACES, FACE_TOO_SMALL, FACE_BLURRED or FACE_TURNED, or
    NO_FACE_ENROLLED if the pictures were refused for different reasons; `causes` has them all.
    """


class Unauthenticated(MarqueeError):
    """The server does not know the caller."""


class CredentialsMissing(Unauthenticated):
    """The server asks for a token, and the call had none."""


class TokenUnknown(Unauthenticated):
    """The server does not know the token."""


class TokenExpired(Unauthenticated):
    """The token was valid, but is no longer."""


class TokenInvalid(Unauthenticated):
    """The server does not trust the JWT, or it is for another service; the message says why."""


class CertificateUnknown(Unauthenticated):
    """The client certificate is in order, but none of its names may call."""


class PermissionDenied(MarqueeError):
    """The caller, or the servers, may not do this, e.g. read an S3 object."""


class ScopeMissing(PermissionDenied):
    """The caller lacks a scope: metadata `scope`."""


class CollectionForbidden(PermissionDenied):
    """The caller may not use the collection: metadata `collection`."""


class RelayForbidden(PermissionDenied):
    """The caller may not speak for another one."""


class NotFound(MarqueeError):
    """Something does not exist: a bucket, an object or an object's version in S3."""


class PersonNotFound(NotFound):
    """No person with that person_id is known."""


class PictureNotFound(NotFound):
    """The library's collection has no picture of that picture_id."""


class CategoryNotFound(NotFound):
    """The library's collection has no such category."""


class RuleNotFound(NotFound):
    """The library's collection has no such rule of notifications."""


class FaceNotFound(NotFound):
    """The library's collection has no such face."""


class ActionNotFound(NotFound):
    """The library's collection has no such action."""


class AlreadyExists(MarqueeError):
    """Something that differs from the request exists already."""


class FaceAlreadyEnrolled(AlreadyExists):
    """The face is enrolled as another person: metadata `person_id` and `display_name`."""


class NameTaken(AlreadyExists):
    """The face does not match those of the person known by that name: metadata `person_id` and `display_name`.

    Give that person_id, or allow_different, for the same person, and another person_id for somebody else.
    """


class FailedPrecondition(MarqueeError):
    """The operator has to change something first."""


class PictureErased(FailedPrecondition):
    """The picture was erased from the library, and is not to come back."""


class ContentMissing(FailedPrecondition):
    """The library has no file of the picture yet, or never had one."""


class PersonTwice(FailedPrecondition):
    """The person would be two faces of one picture."""


class PeopleSeparated(FailedPrecondition):
    """It was decided that these people are two."""


class ModelNotFound(FailedPrecondition):
    """The library has no vectors, or none of this model."""


class ResourceExhausted(MarqueeError):
    """Too many calls at once, or a budget is exhausted. Try again later."""


class RateExceeded(ResourceExhausted):
    """The caller makes more calls a second than it may; `retry_after` says when there is room for the next."""


class BudgetExhausted(ResourceExhausted):
    """The server's budget for today is spent."""


class CallerBudgetExhausted(BudgetExhausted):
    """What the caller may spend today is spent."""


class Unimplemented(MarqueeError):
    """The server does not support the request."""


class Aborted(MarqueeError):
    """A concurrent change interfered. Retry the call."""


class ActionConflict(Aborted):
    """What an action changed has changed since, so that it cannot be undone."""


class EtagStale(Aborted):
    """The person has changed since the caller saw them."""


class DeadlineExceeded(MarqueeError):
    """No response in time."""


class Cancelled(MarqueeError):
    """The call was cancelled."""


class Unavailable(MarqueeError):
    """The server cannot respond now. Try again."""


class Unreachable(Unavailable):
    """The server cannot be reached, or the connection was lost."""


class TlsError(Unreachable):
    """Certificates do not fit, or only one side speaks TLS; the message says which, and what to do.

    `reason` is SERVER_CERTIFICATE_INVALID, CLIENT_CERTIFICATE_MISSING, CLIENT_CERTIFICATE_EXPIRED,
    CLIENT_CERTIFICATE_REFUSED, TLS_REQUIRED, TLS_NOT_OFFERED or TLS_REFUSED.
    """


class InternalError(MarqueeError):
    """An error in the server; its log has details under `request_id`."""


_BY_REASON: dict[str, type[MarqueeError]] = {
    "UNKNOWN_RECOGNIZER": UnknownRecognizer,
    "REQUEST_REUSED": RequestReused,
    "INVALID_IMAGE": InvalidImage,
    "IMAGE_MISSING": InvalidImage,
    "IMAGE_TOO_LARGE": ImageTooLarge,
    "UNFIT_FACE": UnfitFace,
    "NO_FACE": UnfitFace,
    "SEVERAL_FACES": UnfitFace,
    "FACE_TOO_SMALL": UnfitFace,
    "FACE_BLURRED": UnfitFace,
    "FACE_TURNED": UnfitFace,
    "NO_FACE_ENROLLED": UnfitFace,
    "FACE_ALREADY_ENROLLED": FaceAlreadyEnrolled,
    "NAME_TAKEN": NameTaken,
    "PERSON_NOT_FOUND": PersonNotFound,
    "PICTURE_NOT_FOUND": PictureNotFound,
    "CATEGORY_NOT_FOUND": CategoryNotFound,
    "RULE_NOT_FOUND": RuleNotFound,
    "FACE_NOT_FOUND": FaceNotFound,
    "ACTION_NOT_FOUND": ActionNotFound,
    "ACTION_CONFLICT": ActionConflict,
    "ETAG_STALE": EtagStale,
    "PERSON_TWICE": PersonTwice,
    "PEOPLE_SEPARATED": PeopleSeparated,
    "MODEL_NOT_FOUND": ModelNotFound,
    "PICTURE_ERASED": PictureErased,
    "CONTENT_MISSING": ContentMissing,
    "CREDENTIALS_MISSING": CredentialsMissing,
    "TOKEN_UNKNOWN": TokenUnknown,
    "TOKEN_EXPIRED": TokenExpired,
    "TOKEN_INVALID": TokenInvalid,
    "CERTIFICATE_UNKNOWN": CertificateUnknown,
    "SCOPE_MISSING": ScopeMissing,
    "COLLECTION_FORBIDDEN": CollectionForbidden,
    "RELAY_FORBIDDEN": RelayForbidden,
    "RATE_EXCEEDED": RateExceeded,
    "BUDGET_EXHAUSTED": BudgetExhausted,
    "CALLER_BUDGET_EXHAUSTED": CallerBudgetExhausted,
}
_BY_CODE: dict[str, type[MarqueeError]] = {
    "INVALID_ARGUMENT": InvalidRequest,
    "OUT_OF_RANGE": InvalidRequest,
    "UNAUTHENTICATED": Unauthenticated,
    "PERMISSION_DENIED": PermissionDenied,
    "NOT_FOUND": NotFound,
    "ALREADY_EXISTS": AlreadyExists,
    "ABORTED": Aborted,
    "FAILED_PRECONDITION": FailedPrecondition,
    "RESOURCE_EXHAUSTED": ResourceExhausted,
    "UNIMPLEMENTED": Unimplemented,
    "DEADLINE_EXCEEDED": DeadlineExceeded,
    "CANCELLED": Cancelled,
    "UNAVAILABLE": Unavailable,
    "INTERNAL": InternalError,
    "DATA_LOSS": InternalError,
}


def error_of(status: Status, request_id: str, enrollment: "Enrollment | None" = None) -> MarqueeError:
    """Return the exception for a status's reason, else for its code."""
    return _kind(status)(
        status.message,
        code=status.code,
        reason=status.reason,
        metadata=status.metadata,
        request_id=request_id,
        causes=status.causes,
        enrollment=enrollment,
        retry_after=status.retry_after,
    )


def _kind(status: Status) -> type[MarqueeError]:
    """Return the class for the reason, else what all causes have in common if that is more specific than the code."""
    if kind := _BY_REASON.get(status.reason):
        return kind
    by_code = _BY_CODE.get(status.code, MarqueeError)
    kinds = [_kind(cause) for cause in status.causes] or [by_code]
    shared = next(kind for kind in kinds[0].__mro__ if all(issubclass(other, kind) for other in kinds))
    return shared if issubclass(shared, by_code) else by_code
