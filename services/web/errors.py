"""Errors as HTTP has them: what a status, a domain error or any other exception becomes, and Connect's JSON of it."""

import base64
import http
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import grpc
import structlog
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2
from starlette.exceptions import HTTPException
from starlette.responses import Response
from structlog.contextvars import bind_contextvars, get_contextvars

from services.runtime import status
from services.runtime.errors import DomainError

logger = structlog.get_logger()
_Code = grpc.StatusCode
HTTP_STATUS: Mapping[grpc.StatusCode, int] = {
    _Code.CANCELLED: 499,
    _Code.UNKNOWN: 500,
    _Code.INVALID_ARGUMENT: 400,
    _Code.DEADLINE_EXCEEDED: 504,
    _Code.NOT_FOUND: 404,
    _Code.ALREADY_EXISTS: 409,
    _Code.PERMISSION_DENIED: 403,
    _Code.RESOURCE_EXHAUSTED: 429,
    _Code.FAILED_PRECONDITION: 400,
    _Code.ABORTED: 409,
    _Code.OUT_OF_RANGE: 400,
    _Code.UNIMPLEMENTED: 501,
    _Code.INTERNAL: 500,
    _Code.UNAVAILABLE: 503,
    _Code.DATA_LOSS: 500,
    _Code.UNAUTHENTICATED: 401,
}
"""gRPC's code → HTTP's, as Connect has them."""
_TOO_LARGE = "IMAGE_TOO_LARGE"
_CODES: Mapping[int, grpc.StatusCode] = {
    400: _Code.INVALID_ARGUMENT,
    401: _Code.UNAUTHENTICATED,
    403: _Code.PERMISSION_DENIED,
    404: _Code.NOT_FOUND,
    405: _Code.UNIMPLEMENTED,
    408: _Code.DEADLINE_EXCEEDED,
    409: _Code.ABORTED,
    413: _Code.RESOURCE_EXHAUSTED,
    415: _Code.INVALID_ARGUMENT,
    421: _Code.INVALID_ARGUMENT,
    422: _Code.INVALID_ARGUMENT,
    429: _Code.RESOURCE_EXHAUSTED,
    431: _Code.INVALID_ARGUMENT,
    501: _Code.UNIMPLEMENTED,
    503: _Code.UNAVAILABLE,
    504: _Code.DEADLINE_EXCEEDED,
}
"""HTTP's code → gRPC's, of what is refused before a call is made."""
_OF_CALLS = frozenset((408, 413))
"""HTTP's codes of calls whose body is refused."""
_API = ("/v1/", "/marquee.", "/openapi.json")


def is_api(path: str) -> bool:
    """Return whether programs call the path, and read errors as JSON, rather than people."""
    return path.startswith(_API)


def status_of(error: Exception, **metadata: str) -> status_pb2.Status:
    """Return the status for the caller. `metadata` goes with what is unforeseen, such as the request's ID."""
    if isinstance(error, HTTPException):
        code = _CODES.get(error.status_code, _Code.UNKNOWN)
        return status.make(code, http.HTTPStatus(error.status_code).name, _detail(error))
    return status.from_exception(error, **metadata)


def _detail(error: HTTPException) -> str:
    """Return what is wrong, and what is right where Starlette has no more than the status's name."""
    if error.detail != http.HTTPStatus(error.status_code).phrase:
        return error.detail
    if allowed := (error.headers or {}).get("Allow"):
        return f"{error.detail}. This path takes {allowed}."
    is_missing = error.status_code == http.HTTPStatus.NOT_FOUND
    return f"{error.detail}. /openapi.json lists what there is." if is_missing else error.detail


def logged_status(error: Exception) -> status_pb2.Status:
    """Return the status of an error that ends a call of the API. What nobody foresaw goes to the log."""
    if not isinstance(error, HTTPException | DomainError | status.StatusError):
        logger.error("unforeseen", exc_info=error)
    request_id = str(get_contextvars().get("request_id", ""))
    answer = status_of(error, **({"request_id": request_id} if request_id else {}))
    bind_contextvars(reason=status.reason_of(answer))
    return answer


def http_status(error: Exception) -> int:
    """Return HTTP's code for the error."""
    if isinstance(error, HTTPException):
        return error.status_code
    answer = status.from_exception(error)
    return 413 if status.reason_of(answer) == _TOO_LARGE else HTTP_STATUS[status.code_of(answer)]


def retry_after(error: Exception) -> float | None:
    """Return in how many seconds the call, or a recognizer of it, may succeed; None: unknown."""
    return min(_waits(status_of(error)), default=None)


def _waits(answer: status_pb2.Status) -> Iterator[float]:
    info, part = error_details_pb2.RetryInfo(), status_pb2.Status()
    for detail in answer.details:
        if detail.Unpack(info):
            yield float(info.retry_delay.ToNanoseconds()) / 1e9
        elif detail.Unpack(part):
            yield from _waits(part)


def headers_of(error: Exception) -> dict[str, str]:
    """Return the headers that go with the error: when to try again, how to show who calls, and what it has itself."""
    own = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    wait = retry_after(error)
    return (
        {"Cache-Control": "no-store"}
        | ({"Retry-After": str(math.ceil(wait))} if wait is not None else {})
        | ({"WWW-Authenticate": "Bearer"} if http_status(error) == http.HTTPStatus.UNAUTHORIZED else {})
        | own
    )


def connect_code(code: grpc.StatusCode) -> str:
    """Return Connect's name of the code."""
    return code.name.lower().replace("cancelled", "canceled")


def connect_json(answer: status_pb2.Status) -> dict[str, Any]:
    """Return the error as Connect writes it: code, message, and details, each with its bytes and, to read, its JSON."""
    return {
        "code": connect_code(status.code_of(answer)),
        "message": answer.message,
        "details": [
            {
                "type": detail.TypeName(),
                "value": _base64(detail.value),
                "debug": {k: v for k, v in json_format.MessageToDict(detail).items() if k != "@type"},
            }
            for detail in answer.details
        ],
    }


def response(error: Exception, content_type: str, **metadata: str) -> Response:
    """Return what a program gets whose request has the content type.

    It is JSON with HTTP's code. Clients of Connect's streams and of gRPC-Web would read nothing but that code: they get
    the end of a stream.
    """
    answer, kind = status_of(error, **metadata), content_type.partition(";")[0].strip().lower()
    content = json.dumps(connect_json(answer), ensure_ascii=False)
    if _is_of_call(error) and kind.startswith("application/connect+"):
        return _end(2, f'{{"error": {content}}}', kind, error)
    if _is_of_call(error) and kind.startswith("application/grpc-web"):
        return _end(0x80, _trailers(answer), kind, error)
    return Response(f"{content}\n", http_status(error), headers_of(error), "application/json")


def _is_of_call(error: Exception) -> bool:
    """Return whether the error ends a call, rather than says that the request is none."""
    return not isinstance(error, HTTPException) or error.status_code in _OF_CALLS


def _end(flag: int, content: str, kind: str, error: Exception) -> Response:
    """Return a stream that has nothing but its end."""
    body = content.encode()
    return Response(bytes((flag,)) + len(body).to_bytes(4, "big") + body, 200, headers_of(error), kind)


def _trailers(answer: status_pb2.Status) -> str:
    lines = {
        "grpc-status": str(answer.code),
        "grpc-message": quote(answer.message, safe=""),
        "grpc-status-details-bin": _base64(answer.SerializeToString()),
    }
    return "".join(f"{name}: {value}\r\n" for name, value in lines.items())


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode().rstrip("=")
