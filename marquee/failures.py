"""From a failed call to the exception that says so."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from google.rpc import status_pb2

from marquee import errors
from marquee.records import Status, read_status

_DETAILS_KEY = "grpc-status-details-bin"
_BY_REASON: dict[str, type[errors.MarqueeError]] = {
    "UNKNOWN_RECOGNIZER": errors.UnknownRecognizer,
    "INVALID_IMAGE": errors.InvalidImage,
    "IMAGE_MISSING": errors.InvalidImage,
    "IMAGE_TOO_LARGE": errors.ImageTooLarge,
    "UNFIT_FACE": errors.UnfitFace,
    "NO_FACE": errors.UnfitFace,
    "SEVERAL_FACES": errors.UnfitFace,
    "FACE_TOO_SMALL": errors.UnfitFace,
    "FACE_BLURRED": errors.UnfitFace,
    "FACE_TURNED": errors.UnfitFace,
    "NO_FACE_ENROLLED": errors.UnfitFace,
    "FACE_ALREADY_ENROLLED": errors.FaceAlreadyEnrolled,
    "PERSON_NOT_FOUND": errors.PersonNotFound,
}
_BY_CODE: dict[str, type[errors.MarqueeError]] = {
    "INVALID_ARGUMENT": errors.InvalidRequest,
    "OUT_OF_RANGE": errors.InvalidRequest,
    "UNAUTHENTICATED": errors.Unauthenticated,
    "PERMISSION_DENIED": errors.PermissionDenied,
    "NOT_FOUND": errors.NotFound,
    "ALREADY_EXISTS": errors.AlreadyExists,
    "ABORTED": errors.Aborted,
    "FAILED_PRECONDITION": errors.FailedPrecondition,
    "RESOURCE_EXHAUSTED": errors.ResourceExhausted,
    "UNIMPLEMENTED": errors.Unimplemented,
    "DEADLINE_EXCEEDED": errors.DeadlineExceeded,
    "CANCELLED": errors.Cancelled,
    "UNAVAILABLE": errors.Unavailable,
    "INTERNAL": errors.InternalError,
    "DATA_LOSS": errors.InternalError,
}


@contextmanager
def failures(address: str, request_id: str = "") -> Iterator[None]:
    """Turns gRPC's errors within the block into MarqueeErrors."""
    try:
        yield
    except grpc.RpcError as error:
        raise from_rpc_error(error, address, request_id) from error


def from_rpc_error(error: grpc.RpcError, address: str, request_id: str) -> errors.MarqueeError:
    """The exception for a failed call: by the server's reason, else by the code."""
    said = _said_by_server(error)
    if said is None:
        return _said_by_grpc(error, address, request_id)
    status = read_status(said)
    return _make(_kind(status), status, request_id)


def _said_by_server(error: grpc.RpcError) -> status_pb2.Status | None:
    trailing: Any = error.trailing_metadata() or ()  # pairs; the published types say otherwise
    statuses = (value for key, value in trailing if key == _DETAILS_KEY)
    return next((status_pb2.Status.FromString(value) for value in statuses), None)


def _kind(status: Status) -> type[errors.MarqueeError]:
    """By reason, else what all causes have in common where that is finer than the code."""
    if kind := _BY_REASON.get(status.reason):
        return kind
    by_code = _BY_CODE.get(status.code, errors.MarqueeError)
    kinds = [_kind(cause) for cause in status.causes] or [by_code]
    shared = next(kind for kind in kinds[0].__mro__ if all(issubclass(other, kind) for other in kinds))
    return shared if issubclass(shared, by_code) else by_code


def _said_by_grpc(error: grpc.RpcError, address: str, request_id: str) -> errors.MarqueeError:
    code, details = error.code().name, error.details() or ""
    if code == "UNAVAILABLE":
        return _make(errors.Unreachable, Status(code, _unreachable(address, details)), request_id)
    if code == "DEADLINE_EXCEEDED":
        details = f"No answer from {address} in time; allow a longer timeout."
    if code == "UNIMPLEMENTED" and details == "Method not found!":
        details = f"The server at {address} does not offer this. Ask another, such as the gateway, or a newer one."
    return _make(_BY_CODE.get(code, errors.MarqueeError), Status(code, details), request_id)


def _unreachable(address: str, details: str) -> str:
    if details.startswith(("connections to all backends failing", "DNS resolution failed")):
        return f"Nothing answers at {address}; start it with `make demo` or set MARQUEE_ADDRESS. ({details})"
    return f"The connection to {address} broke: {details}"


def _make(kind: type[errors.MarqueeError], status: Status, request_id: str) -> errors.MarqueeError:
    return kind(
        status.message,
        code=status.code,
        reason=status.reason,
        metadata=status.metadata,
        request_id=request_id,
        causes=status.causes,
    )
