"""google.rpc.Status: made from domain errors, and read from failed calls."""

from collections.abc import Mapping

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from services.runtime import errors

DOMAIN = "marquee"
DETAILS_KEY = "grpc-status-details-bin"

_MAX_CHARACTERS = 500
_Code = grpc.StatusCode
TABLE: dict[type[errors.DomainError], tuple[grpc.StatusCode, str]] = {
    errors.InvalidRequest: (_Code.INVALID_ARGUMENT, "INVALID_REQUEST"),
    errors.MalformedRequest: (_Code.INVALID_ARGUMENT, "MALFORMED_REQUEST"),
    errors.UnknownRecognizer: (_Code.INVALID_ARGUMENT, "UNKNOWN_RECOGNIZER"),
    errors.TooManyHops: (_Code.FAILED_PRECONDITION, "TOO_MANY_HOPS"),
    errors.UnsupportedPolicy: (_Code.UNIMPLEMENTED, "UNSUPPORTED_POLICY"),
    errors.NotOffered: (_Code.UNIMPLEMENTED, "NOT_OFFERED"),
    errors.PersonNotFound: (_Code.NOT_FOUND, "PERSON_NOT_FOUND"),
    errors.InvalidImage: (_Code.INVALID_ARGUMENT, "INVALID_IMAGE"),
    errors.ImageMissing: (_Code.INVALID_ARGUMENT, "IMAGE_MISSING"),
    errors.ImageTooLarge: (_Code.INVALID_ARGUMENT, "IMAGE_TOO_LARGE"),
    errors.UnfitFace: (_Code.INVALID_ARGUMENT, "UNFIT_FACE"),
    errors.NoFace: (_Code.INVALID_ARGUMENT, "NO_FACE"),
    errors.SeveralFaces: (_Code.INVALID_ARGUMENT, "SEVERAL_FACES"),
    errors.FaceTooSmall: (_Code.INVALID_ARGUMENT, "FACE_TOO_SMALL"),
    errors.FaceBlurred: (_Code.INVALID_ARGUMENT, "FACE_BLURRED"),
    errors.FaceTurned: (_Code.INVALID_ARGUMENT, "FACE_TURNED"),
    errors.FaceAlreadyEnrolled: (_Code.ALREADY_EXISTS, "FACE_ALREADY_ENROLLED"),
    errors.ObjectNotFound: (_Code.NOT_FOUND, "OBJECT_NOT_FOUND"),
    errors.ObjectForbidden: (_Code.PERMISSION_DENIED, "OBJECT_FORBIDDEN"),
    errors.BucketNotAllowed: (_Code.PERMISSION_DENIED, "BUCKET_NOT_ALLOWED"),
    errors.CollectionNotFound: (_Code.NOT_FOUND, "COLLECTION_NOT_FOUND"),
    errors.NotReady: (_Code.UNAVAILABLE, "MODEL_NOT_READY"),
    errors.Overloaded: (_Code.RESOURCE_EXHAUSTED, "OVERLOADED"),
    errors.GalleryBusy: (_Code.ABORTED, "GALLERY_BUSY"),
    errors.DependencyUnavailable: (_Code.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE"),
    errors.DependencyTimeout: (_Code.DEADLINE_EXCEEDED, "DEPENDENCY_TIMEOUT"),
    errors.OutOfTime: (_Code.DEADLINE_EXCEEDED, "OUT_OF_TIME"),
    errors.Throttled: (_Code.RESOURCE_EXHAUSTED, "THROTTLED"),
    errors.BudgetExhausted: (_Code.RESOURCE_EXHAUSTED, "BUDGET_EXHAUSTED"),
    errors.Misconfigured: (_Code.FAILED_PRECONDITION, "MISCONFIGURED"),
    errors.CredentialsRefused: (_Code.UNAUTHENTICATED, "CREDENTIALS_REFUSED"),
    errors.NotPermitted: (_Code.PERMISSION_DENIED, "NOT_PERMITTED"),
}
_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}


class StatusError(Exception):
    """A finished status for the caller, such as one from another server."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status


def from_exception(exc: Exception, **metadata: str) -> status_pb2.Status:
    """Return the status for the caller, which never has the text of an exception that is no DomainError."""
    if isinstance(exc, StatusError):
        return exc.status
    if not isinstance(exc, errors.DomainError):
        return make(
            _Code.INTERNAL,
            "INTERNAL",
            "Internal error. The server's log has the details under this request_id.",
            **metadata,
        )
    code, reason = TABLE[type(exc)]
    answer = make(code, reason, exc.message, **metadata | exc.metadata)
    if exc.retry_after is not None:
        answer.details.append(_retry_info(exc.retry_after))
    return answer


def make(code: grpc.StatusCode, reason: str, message: str, **metadata: str) -> status_pb2.Status:
    """Return a status with an ErrorInfo of this project's domain.

    Texts are truncated, since some quote the caller: gRPC replaces a status over 8 KiB.
    """
    short = {key: _cut(value) for key, value in metadata.items()}
    info = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=short)
    detail = any_pb2.Any()
    detail.Pack(info)
    return status_pb2.Status(code=number(code), message=_cut(message), details=[detail])


def _retry_info(seconds: float) -> any_pb2.Any:
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromNanoseconds(int(seconds * 1e9))
    detail = any_pb2.Any()
    detail.Pack(info)
    return detail


def join(
    statuses: Mapping[str, status_pb2.Status], summary: str, otherwise: tuple[grpc.StatusCode, str], **metadata: str
) -> status_pb2.Status:
    """Return one status for several failures, with each of them in the details, prefixed by its name.

    Code, reason and message are the failures' if they agree, otherwise those of `otherwise`, and `summary`
    followed by all messages. Metadata that all of them share is kept.
    """
    kinds = {(code_of(one), reason_of(one)) for one in statuses.values()}
    codes = {code for code, _ in kinds}
    messages = {one.message for one in statuses.values()}
    prefixed = [f"{name}: {one.message}" for name, one in statuses.items()]
    shared = dict(set.intersection(*(set(_info(one).metadata.items()) for one in statuses.values())))
    code, reason = kinds.pop() if len(kinds) == 1 else otherwise
    joined = make(
        codes.pop() if len(codes) == 1 else code,
        reason,
        messages.pop() if len(messages) == 1 else " ".join([summary, *prefixed]),
        **shared | metadata,
    )
    for one, message in zip(statuses.values(), prefixed, strict=True):
        copy = status_pb2.Status()
        copy.CopyFrom(one)
        copy.message = message
        joined.details.add().Pack(copy)
    return joined


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_CHARACTERS else f"{text[: _MAX_CHARACTERS - 1]}…"


def from_rpc_error(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    """Return the status of a failed call, or gRPC's own code and text if it has none."""
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            return status_pb2.Status.FromString(value)
    return status_pb2.Status(code=number(error.code()), message=error.details() or "")


def number(code: grpc.StatusCode) -> int:
    """Return the code as a google.rpc.Code."""
    return int(code.value[0])


def code_of(status: status_pb2.Status) -> grpc.StatusCode:
    """Return the status's code, UNKNOWN for a number that gRPC does not define."""
    return _BY_NUMBER.get(status.code, _Code.UNKNOWN)


def reason_of(status: status_pb2.Status) -> str:
    """Return the ErrorInfo's reason, or the empty string."""
    return str(_info(status).reason)


def _info(status: status_pb2.Status) -> error_details_pb2.ErrorInfo:
    info = error_details_pb2.ErrorInfo()
    next((detail for detail in status.details if detail.Unpack(info)), None)
    return info
