"""google.rpc.Status: made from domain errors, read from failed calls, and kept small enough to arrive.

By default a gRPC client takes 8 KiB of metadata at the end of a call. A failed call has its status in there twice: the
message, percent-encoded, and all of the status in base64, which is a third longer. Whatever is over 8 KiB becomes
RESOURCE_EXHAUSTED at the client, and the cause is lost.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Literal, TypeAlias, get_args
from urllib.parse import quote

import grpc
from google.protobuf import any_pb2, json_format, message_factory
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from services.runtime import errors
from services.runtime.limits import MAX_HOPS

DOMAIN = "marquee"
DETAILS_KEY = "grpc-status-details-bin"
MAX_STATUS_BYTES = 4500
"""Maximum size of a serialized status. In base64, beside the longest message, it leaves 600 of the 8192 bytes."""

_MAX_CHARACTERS = 500
_MIN_CHARACTERS = 30
_MAX_NAME_CHARACTERS = 64
_MAX_ENCODED_BYTES = 1500
_MAX_METADATA = 16
_MAX_DETAILS = 100
_MAX_INFO_BYTES = 64 * 1024
"""Maximum size of an ErrorInfo that is read and cut; other details are not cut, and fit into a status or not."""
_PACKED_BYTES = 50
"""What a status needs more as a detail: the name of its type."""
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters but tab and line feed, which no text that is passed on holds."""
CONTROL_IN_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""What no name that is passed on holds: line breaks and what turns the direction of writing around, too."""
_UNENCODED = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
_KINDS: dict[str, type[Message]] = {
    kind.full_name: message_factory.GetMessageClass(kind)
    for kind in (status_pb2.Status.DESCRIPTOR, *error_details_pb2.DESCRIPTOR.message_types_by_name.values())
}
_INFO = error_details_pb2.ErrorInfo.DESCRIPTOR
_Code = grpc.StatusCode
TABLE: dict[type[errors.DomainError], tuple[grpc.StatusCode, str]] = {
    errors.InvalidRequest: (_Code.INVALID_ARGUMENT, "INVALID_REQUEST"),
    errors.MalformedRequest: (_Code.INVALID_ARGUMENT, "MALFORMED_REQUEST"),
    errors.UnknownRecognizer: (_Code.INVALID_ARGUMENT, "UNKNOWN_RECOGNIZER"),
    errors.RequestReused: (_Code.INVALID_ARGUMENT, "REQUEST_REUSED"),
    errors.TooManyHops: (_Code.FAILED_PRECONDITION, "TOO_MANY_HOPS"),
    errors.Unauthenticated: (_Code.UNAUTHENTICATED, "UNAUTHENTICATED"),
    errors.CredentialsMissing: (_Code.UNAUTHENTICATED, "CREDENTIALS_MISSING"),
    errors.TokenUnknown: (_Code.UNAUTHENTICATED, "TOKEN_UNKNOWN"),
    errors.TokenExpired: (_Code.UNAUTHENTICATED, "TOKEN_EXPIRED"),
    errors.TokenInvalid: (_Code.UNAUTHENTICATED, "TOKEN_INVALID"),
    errors.CertificateUnknown: (_Code.UNAUTHENTICATED, "CERTIFICATE_UNKNOWN"),
    errors.Forbidden: (_Code.PERMISSION_DENIED, "FORBIDDEN"),
    errors.ScopeMissing: (_Code.PERMISSION_DENIED, "SCOPE_MISSING"),
    errors.CollectionForbidden: (_Code.PERMISSION_DENIED, "COLLECTION_FORBIDDEN"),
    errors.RelayForbidden: (_Code.PERMISSION_DENIED, "RELAY_FORBIDDEN"),
    errors.ForeignRequest: (_Code.PERMISSION_DENIED, "FOREIGN_REQUEST"),
    errors.RateExceeded: (_Code.RESOURCE_EXHAUSTED, "RATE_EXCEEDED"),
    errors.UnsupportedPolicy: (_Code.UNIMPLEMENTED, "UNSUPPORTED_POLICY"),
    errors.NotOffered: (_Code.UNIMPLEMENTED, "NOT_OFFERED"),
    errors.RequiredMissing: (_Code.FAILED_PRECONDITION, "REQUIRED_RECOGNIZER_MISSING"),
    errors.PersonNotFound: (_Code.NOT_FOUND, "PERSON_NOT_FOUND"),
    errors.PictureNotFound: (_Code.NOT_FOUND, "PICTURE_NOT_FOUND"),
    errors.PictureErased: (_Code.FAILED_PRECONDITION, "PICTURE_ERASED"),
    errors.ContentMissing: (_Code.FAILED_PRECONDITION, "CONTENT_MISSING"),
    errors.CategoryNotFound: (_Code.NOT_FOUND, "CATEGORY_NOT_FOUND"),
    errors.RuleNotFound: (_Code.NOT_FOUND, "RULE_NOT_FOUND"),
    errors.FaceNotFound: (_Code.NOT_FOUND, "FACE_NOT_FOUND"),
    errors.ActionNotFound: (_Code.NOT_FOUND, "ACTION_NOT_FOUND"),
    errors.ActionConflict: (_Code.ABORTED, "ACTION_CONFLICT"),
    errors.EtagStale: (_Code.ABORTED, "ETAG_STALE"),
    errors.PersonTwice: (_Code.FAILED_PRECONDITION, "PERSON_TWICE"),
    errors.PeopleSeparated: (_Code.FAILED_PRECONDITION, "PEOPLE_SEPARATED"),
    errors.ModelNotFound: (_Code.FAILED_PRECONDITION, "MODEL_NOT_FOUND"),
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
    errors.NameTaken: (_Code.ALREADY_EXISTS, "NAME_TAKEN"),
    errors.ObjectNotFound: (_Code.NOT_FOUND, "OBJECT_NOT_FOUND"),
    errors.ObjectForbidden: (_Code.PERMISSION_DENIED, "OBJECT_FORBIDDEN"),
    errors.BucketNotAllowed: (_Code.PERMISSION_DENIED, "BUCKET_NOT_ALLOWED"),
    errors.CollectionNotFound: (_Code.NOT_FOUND, "COLLECTION_NOT_FOUND"),
    errors.CollectionNotIndexed: (_Code.FAILED_PRECONDITION, "COLLECTION_NOT_INDEXED"),
    errors.NotReady: (_Code.UNAVAILABLE, "MODEL_NOT_READY"),
    errors.Overloaded: (_Code.RESOURCE_EXHAUSTED, "OVERLOADED"),
    errors.Shed: (_Code.RESOURCE_EXHAUSTED, "SHED"),
    errors.BatchRefused: (_Code.RESOURCE_EXHAUSTED, "BATCH_REFUSED"),
    errors.GalleryBusy: (_Code.ABORTED, "GALLERY_BUSY"),
    errors.DependencyUnavailable: (_Code.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE"),
    errors.DependencyTimeout: (_Code.DEADLINE_EXCEEDED, "DEPENDENCY_TIMEOUT"),
    errors.OutOfTime: (_Code.DEADLINE_EXCEEDED, "OUT_OF_TIME"),
    errors.InvalidAnswer: (_Code.INTERNAL, "INVALID_ANSWER"),
    errors.AnswerTooLarge: (_Code.RESOURCE_EXHAUSTED, "ANSWER_TOO_LARGE"),
    errors.Throttled: (_Code.RESOURCE_EXHAUSTED, "THROTTLED"),
    errors.BudgetExhausted: (_Code.RESOURCE_EXHAUSTED, "BUDGET_EXHAUSTED"),
    errors.CallerBudgetExhausted: (_Code.RESOURCE_EXHAUSTED, "CALLER_BUDGET_EXHAUSTED"),
    errors.Misconfigured: (_Code.FAILED_PRECONDITION, "MISCONFIGURED"),
    errors.CredentialsRefused: (_Code.UNAUTHENTICATED, "CREDENTIALS_REFUSED"),
    errors.NotPermitted: (_Code.PERMISSION_DENIED, "NOT_PERMITTED"),
}
_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}
Fault: TypeAlias = Literal["caller", "planned", "server"]
FAULTS: tuple[Fault, ...] = get_args(Fault)
"""Whose doing a failure is, as metrics name it: what is nobody's mistake, such as a spent budget, is planned."""
_SERVERS_CODES = frozenset(
    (
        *(_Code.UNKNOWN, _Code.DEADLINE_EXCEEDED, _Code.RESOURCE_EXHAUSTED, _Code.FAILED_PRECONDITION),
        *(_Code.INTERNAL, _Code.UNAVAILABLE, _Code.DATA_LOSS),
        _Code.OK,  # of a recognizer that is unavailable and does not say why
    )
)
FOREIGN = "RECOGNIZER_FAILED"
"""Reason of what a recognizer, or a proxy before it, answers without giving one."""
_UNSERVED = frozenset((_Code.PERMISSION_DENIED, _Code.UNIMPLEMENTED))
"""Codes, without a reason, of what is no recognizer or does not let the gateway in: its callers cannot cause that."""
_FAULTS: dict[str, Fault] = {
    TABLE[errors.RateExceeded][1]: "caller",
    TABLE[errors.CallerBudgetExhausted][1]: "caller",
    TABLE[errors.CollectionNotIndexed][1]: "caller",
    TABLE[errors.PictureErased][1]: "caller",
    TABLE[errors.ContentMissing][1]: "caller",
    TABLE[errors.RequiredMissing][1]: "caller",
    TABLE[errors.BudgetExhausted][1]: "planned",
    TABLE[errors.BatchRefused][1]: "planned",
    TABLE[errors.CredentialsRefused][1]: "server",  # this server's own, at AWS
    TABLE[errors.NotPermitted][1]: "server",
}
"""Faults of reasons that differ from those of their codes."""


class StatusError(Exception):
    """A finished status for the caller, such as one from another server."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status


def from_exception(exc: Exception, **metadata: str) -> status_pb2.Status:
    """Return the status for the caller, which never has the text of an exception that is no DomainError."""
    if isinstance(exc, StatusError):
        return bounded(exc.status)
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
    return bounded(answer)


def make(code: grpc.StatusCode, reason: str, message: str, **metadata: str) -> status_pb2.Status:
    """Return a status with an ErrorInfo of this project's domain. Texts are truncated, since some quote the caller."""
    short = {key: _cut(value) for key, value in metadata.items()}
    info = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=short)
    return status_pb2.Status(code=number(code), message=_cut(message), details=[_packed(info)])


def _retry_info(seconds: float) -> any_pb2.Any:
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromNanoseconds(int(seconds * 1e9))
    return _packed(info)


def retry_after_of(status: status_pb2.Status) -> float | None:
    """Return the seconds of the status's RetryInfo; None without one."""
    info = error_details_pb2.RetryInfo()
    return next((info.retry_delay.ToNanoseconds() / 1e9 for one in status.details if one.Unpack(info)), None)


def _packed(message: Message) -> any_pb2.Any:
    detail = any_pb2.Any()
    detail.Pack(message)
    return detail


def join(
    statuses: Mapping[str, status_pb2.Status],
    summary: str,
    otherwise: tuple[grpc.StatusCode, str],
    *,
    is_named: bool = False,
    **metadata: str,
) -> status_pb2.Status:
    """Return one status for several failures, with each of them in the details, prefixed by its name.

    Code, reason and message are the failures' if they agree, otherwise those of `otherwise`, and `summary`
    followed by all messages, which the message is in any case if `is_named`. Metadata that all of them share is kept.
    Each gets an equal share of MAX_STATUS_BYTES; of more failures than have room, the last are left out. If all say
    after how long to try again, it says the longest.
    """
    kinds = {(code_of(one), reason_of(one)) for one in statuses.values()}
    codes = {code for code, _ in kinds}
    messages = {one.message for one in statuses.values()}
    prefixed = [f"{name}: {one.message}" for name, one in statuses.items()]
    shared = dict(set.intersection(*(set(_info(one).metadata.items()) for one in statuses.values())))
    code, reason = kinds.pop() if len(kinds) == 1 else otherwise
    joined = bounded(
        make(
            codes.pop() if len(codes) == 1 else code,
            reason,
            messages.pop() if len(messages) == 1 and not is_named else _sentences(summary, prefixed),
            **shared | metadata,
        ),
        MAX_STATUS_BYTES // 2,
    )
    waits = [retry_after_of(one) for one in statuses.values()]
    if None not in waits:
        joined.details.append(_retry_info(max(wait for wait in waits if wait is not None)))
    share = (MAX_STATUS_BYTES - joined.ByteSize()) // len(statuses) - _PACKED_BYTES
    for one, message in zip(statuses.values(), prefixed, strict=True):
        copy = status_pb2.Status(code=one.code, message=message, details=one.details)
        joined.details.append(_packed(bounded(copy, share)))
    while joined.ByteSize() > MAX_STATUS_BYTES:
        del joined.details[-1]
    return joined


def _sentences(summary: str, messages: Sequence[str]) -> str:
    """Return the summary and all messages, each with its first words at least."""
    room = max(_MIN_CHARACTERS, (_MAX_CHARACTERS - len(summary)) // len(messages) - 1)
    whole = " ".join([summary, *messages])
    return whole if len(whole) <= _MAX_CHARACTERS else " ".join([summary, *(_cut(one, room) for one in messages)])


def bounded(original: status_pb2.Status, limit: int = MAX_STATUS_BYTES, depth: int = MAX_HOPS) -> status_pb2.Status:
    """Return the status in at most `limit` bytes, and fit for every client, whoever made it.

    A status that is so already stays as it is. The code becomes one that gRPC defines. Details are those of google.rpc
    that parse, the ErrorInfo first; statuses in them lie at most `depth` deep. What is too much is cut: further details
    first, then the ErrorInfo's metadata, then the end of the message; code, reason and first words stay.
    """
    status = status_pb2.Status(code=number(code_of(original)), message=_cut(original.message))
    status.details.extend(_fit_details(original.details, depth))
    kept = 1 if reason_of(status) else 0
    while status.ByteSize() > limit and len(status.details) > kept:
        del status.details[-1]
    if status.ByteSize() > limit and (info := _info(status)).metadata:
        info.metadata.clear()
        status.details[0].Pack(info)
    while status.ByteSize() > limit and len(status.message) > _MIN_CHARACTERS:
        status.message = _cut(status.message, len(status.message) * 3 // 4)
    return status


def _fit_details(details: Iterable[any_pb2.Any], depth: int) -> list[any_pb2.Any]:
    """Return the details that fit, the ErrorInfo first. What has no room is not read: a peer may nest megabytes."""
    infos, others, room = [], [], MAX_STATUS_BYTES
    for detail in islice(details, _MAX_DETAILS):
        size = detail.ByteSize()
        if detail.Is(_INFO):
            infos += [detail] if size <= _MAX_INFO_BYTES else []
        elif size <= room:
            others.append(detail)
            room -= size
    return [one for detail in (*infos, *others) if (one := _fit_detail(detail, depth))]


def _fit_detail(detail: any_pb2.Any, depth: int) -> any_pb2.Any | None:
    """Return the detail with its texts cut; None if it is none of google.rpc's or no client could show it."""
    try:
        message = _KINDS[detail.TypeName()].FromString(detail.value)
        if isinstance(message, status_pb2.Status):
            return _packed(bounded(message, depth=depth - 1)) if depth else None
        if isinstance(message, error_details_pb2.ErrorInfo):
            return detail if message == (info := _fit_info(message)) else _packed(info)
        json_format.MessageToDict(message)
    except (KeyError, ValueError, DecodeError, json_format.Error):
        return None
    return detail


def _fit_info(info: error_details_pb2.ErrorInfo) -> error_details_pb2.ErrorInfo:
    metadata = {
        _cut(key, _MAX_NAME_CHARACTERS): _cut(value) for key, value in sorted(info.metadata.items())[:_MAX_METADATA]
    }
    return error_details_pb2.ErrorInfo(
        reason=_cut(info.reason, _MAX_NAME_CHARACTERS),
        domain=_cut(info.domain, _MAX_NAME_CHARACTERS),
        metadata=metadata,
    )


def _cut(text: str, characters: int = _MAX_CHARACTERS) -> str:
    """Return the beginning of the text, without control characters, and short in gRPC's percent-encoding, too."""
    short = CONTROL.sub(" ", text.encode("utf-8", "replace").decode())
    if len(short) > characters:
        short = f"{short[: characters - 1]}…"
    while not short.isascii() and len(quote(short, safe=_UNENCODED)) > _MAX_ENCODED_BYTES:
        short = f"{short[: len(short) * 3 // 4]}…"
    return short


def from_rpc_error(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    """Return the status of a failed call, or gRPC's own code and text if it has none that parses and agrees."""
    own = status_pb2.Status(code=number(error.code()), message=_cut(error.details() or ""))
    statuses = (_parsed(value) for key, value in error.trailing_metadata() or () if key == DETAILS_KEY)
    return next((bounded(one) for one in statuses if one is not None and one.code == own.code), own)


def _parsed(value: str | bytes) -> status_pb2.Status | None:
    try:
        return status_pb2.Status.FromString(value) if isinstance(value, bytes) else None
    except DecodeError:
        return None


def number(code: grpc.StatusCode) -> int:
    """Return the code as a google.rpc.Code."""
    return int(code.value[0])


def code_of(status: status_pb2.Status) -> grpc.StatusCode:
    """Return the status's code, UNKNOWN for a number that gRPC does not define."""
    return _BY_NUMBER.get(status.code, _Code.UNKNOWN)


def reason_of(status: status_pb2.Status) -> str:
    """Return the ErrorInfo's reason, or the empty string."""
    return str(_info(status).reason)


def metadata_of(status: status_pb2.Status) -> dict[str, str]:
    """Return the ErrorInfo's metadata."""
    return dict(_info(status).metadata)


def fault_of(status: status_pb2.Status) -> Fault:
    """Return whose doing the failure is: the server's, if one of several that it tells of is."""
    inner = [
        fault_of(status_pb2.Status.FromString(detail.value))
        for detail in bounded(status).details
        if detail.Is(status_pb2.Status.DESCRIPTOR)
    ]
    if inner:
        return max(inner, key=FAULTS.index)
    code, reason = code_of(status), reason_of(status)
    if code in _SERVERS_CODES or (reason == FOREIGN and code in _UNSERVED):
        return _FAULTS.get(reason, "server")
    return _FAULTS.get(reason, "caller")


def _info(status: status_pb2.Status) -> error_details_pb2.ErrorInfo:
    packed = (detail for detail in status.details if detail.Is(_INFO))
    try:
        return error_details_pb2.ErrorInfo.FromString(next(packed, any_pb2.Any()).value)
    except DecodeError:
        return error_details_pb2.ErrorInfo()
