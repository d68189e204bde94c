"""AWS's errors: which are transient, which are billed, and what callers see.

AWS's own messages name roles, accounts and signatures, so nobody sees them.
"""

import structlog
from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError

from services.runtime.errors import (
    CollectionNotFound,
    CredentialsRefused,
    DependencyTimeout,
    DependencyUnavailable,
    DomainError,
    GalleryBusy,
    ImageTooLarge,
    InvalidImage,
    InvalidRequest,
    Misconfigured,
    NotPermitted,
    ObjectForbidden,
    Throttled,
)
from services.runtime.storage import failures
from services.runtime.storage.failures import Kind, code_of, kind_of

logger = structlog.get_logger()
_Explanation = tuple[type[DomainError], str]

_BAD_NAME: _Explanation = (
    InvalidRequest,
    "Rekognition does not accept this name of a bucket, a key or a collection.",
)
_NO_COLLECTION: _Explanation = (
    CollectionNotFound,
    "Rekognition has no such collection in its region. Name one that `aws rekognition list-collections` lists.",
)
_NO_OPERATION: _Explanation = (
    Misconfigured,
    "The server at Rekognition's address lacks this operation. An operator has to choose another region or endpoint.",
)
_OTHER_REGION: _Explanation = (
    Misconfigured,
    (
        "The server at Rekognition's address is in a region other than this server's. "
        "An operator has to set AWS_REGION or MARQUEE_REKOGNITION_REGION to the endpoint's region."
    ),
)

_BY_CODE: dict[str, _Explanation] = {
    "ConflictException": (
        GalleryBusy,
        "Another request is changing this user of the collection. Try again in a moment.",
    ),
    "ImageTooLargeException": (ImageTooLarge, "Rekognition accepts pictures of at most 15 MB from S3."),
    "InvalidImageFormatException": (InvalidImage, "Rekognition cannot read this picture: it accepts JPEG and PNG."),
    "InvalidParameterException": (
        InvalidImage,
        "Rekognition refuses this picture: it accepts 80 to 10000 pixels a side.",
    ),
    "InvalidS3ObjectException": (
        ObjectForbidden,
        (
            "Rekognition cannot read this object: it does not exist, its bucket is in another region than Rekognition, "
            "or the server's AWS identity lacks s3:GetObject for it."
        ),
    ),
    "ResourceNotFoundException": _NO_COLLECTION,
    "ServiceQuotaExceededException": (
        InvalidRequest,
        "This collection is full: Rekognition keeps at most 20 million faces, and 100 faces a user.",
    ),
    "UnknownOperationException": _NO_OPERATION,
    "ValidationException": _BAD_NAME,
}
"""Rekognition's own codes; all others are told apart as those of every service are."""
_BY_CLASS: tuple[tuple[type[BotoCoreError], _Explanation], ...] = (
    (boto.ParamValidationError, _BAD_NAME),
    (boto.UnknownEndpointError, _NO_OPERATION),
    (BotoCoreError, (DependencyUnavailable, "Rekognition cannot be reached.")),
)
_BY_KIND: dict[Kind, _Explanation] = {
    Kind.THROTTLED: (
        Throttled,
        "Rekognition throttles the account. Try again later, or ask AWS for a higher quota.",
    ),
    Kind.TIMEOUT: (DependencyTimeout, "Rekognition did not respond in time."),
    Kind.NO_CREDENTIALS_NOW: (
        DependencyUnavailable,
        "The source of the server's AWS credentials does not respond.",
    ),
    Kind.CREDENTIALS: (CredentialsRefused, failures.CREDENTIALS_ADVICE),
    Kind.CLOCK: (CredentialsRefused, failures.CLOCK_ADVICE),
    Kind.FORBIDDEN: (
        NotPermitted,
        (
            "The server's AWS identity may not call this operation of Rekognition, or not for this collection. "
            "An operator has to allow it in the identity's IAM policy."
        ),
    ),
}
_NEVER_SENT = (
    boto.ConnectTimeoutError,
    boto.EndpointConnectionError,
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
    boto.UnauthorizedSSOTokenError,
    boto.ParamValidationError,
    boto.ProxyConnectionError,
    boto.SSLError,
)


def is_throttling(exc: BaseException) -> bool:
    """Return whether AWS asks to slow down."""
    return kind_of(exc) is Kind.THROTTLED


def is_transient(exc: BaseException) -> bool:
    """Return whether the same call may well succeed a moment later: throttling, a server error, a broken connection.

    A read timeout does not count: it took all the time that a response is given.
    """
    kind = kind_of(exc)
    return kind in failures.TRANSIENT and kind is not Kind.TIMEOUT


def is_surely_not_billed(exc: Exception) -> bool:
    """Return whether the call never reached AWS, or AWS refused it before looking at the picture.

    A server error, a broken connection and a timeout leave it open.
    """
    if isinstance(exc, _NEVER_SENT):
        return True
    return isinstance(exc, ClientError) and kind_of(exc) is not Kind.SERVER


def explain(exc: Exception) -> DomainError:
    """Return the error that the caller sees; log AWS's code and request id."""
    code, kind = code_of(exc), kind_of(exc)
    logger.warning("rekognition failed", code=code, aws_request_id=_request_id(exc))
    if _is_other_region(exc):
        error, message = _OTHER_REGION
    else:
        error, message = _BY_CODE.get(code) or _BY_KIND.get(kind) or _unknown(exc, code)
    return error(message, retry_after=failures.retry_after(exc))


def _is_other_region(exc: Exception) -> bool:
    """Return whether AWS complains of a signature for another region; it has no code of its own for that."""
    if not isinstance(exc, ClientError) or code_of(exc) != "InvalidSignatureException":
        return False
    return "valid region" in str(exc.response["Error"].get("Message", ""))


def _unknown(exc: Exception, code: str) -> _Explanation:
    failed = (DependencyUnavailable, f"Rekognition failed with {code}.")
    return next((explanation for cause, explanation in _BY_CLASS if isinstance(exc, cause)), failed)


def _request_id(exc: Exception) -> str | None:
    return exc.response["ResponseMetadata"].get("RequestId") if isinstance(exc, ClientError) else None
