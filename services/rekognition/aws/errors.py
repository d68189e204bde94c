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

logger = structlog.get_logger()
_Explanation = tuple[type[DomainError], str]

_SLOW_DOWN: _Explanation = (
    Throttled,
    "Rekognition throttles the account. Try again later, or ask AWS for a higher quota.",
)
_BAD_NAME: _Explanation = (
    InvalidRequest,
    "Rekognition does not accept this name of a bucket, a key or a collection.",
)
_CREDENTIALS: _Explanation = (
    CredentialsRefused,
    (
        "The server's AWS credentials are missing, wrong or expired. An operator has to renew them: the role of its "
        "service account, AWS_PROFILE, or AWS_ACCESS_KEY_ID with its secret and token."
    ),
)
_NOT_ALLOWED: _Explanation = (
    NotPermitted,
    (
        "The server's AWS identity may not call this operation of Rekognition, or not for this collection. "
        "An operator has to allow it in the identity's IAM policy."
    ),
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
    "AccessDenied": _NOT_ALLOWED,
    "AccessDeniedException": _NOT_ALLOWED,
    "ConflictException": (
        GalleryBusy,
        "Another request is changing this user of the collection. Try again in a moment.",
    ),
    "ExpiredToken": _CREDENTIALS,
    "ExpiredTokenException": _CREDENTIALS,
    "ImageTooLargeException": (ImageTooLarge, "Rekognition accepts pictures of at most 15 MB from S3."),
    "IncompleteSignatureException": _CREDENTIALS,
    "InvalidClientTokenId": _CREDENTIALS,
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
    "InvalidSignatureException": _CREDENTIALS,
    "LimitExceededException": _SLOW_DOWN,
    "MissingAuthenticationTokenException": _CREDENTIALS,
    "OptInRequired": _NOT_ALLOWED,
    "ProvisionedThroughputExceededException": _SLOW_DOWN,
    "ResourceNotFoundException": _NO_COLLECTION,
    "ServiceQuotaExceededException": (
        InvalidRequest,
        "This collection is full: Rekognition keeps at most 20 million faces, and 100 faces a user.",
    ),
    "SubscriptionRequiredException": _NOT_ALLOWED,
    "Throttling": _SLOW_DOWN,
    "ThrottlingException": _SLOW_DOWN,
    "TooManyRequestsException": _SLOW_DOWN,
    "UnknownOperationException": _NO_OPERATION,
    "UnrecognizedClientException": _CREDENTIALS,
    "ValidationException": _BAD_NAME,
}
_BY_CLASS: tuple[tuple[type[BotoCoreError], _Explanation], ...] = (
    (boto.ReadTimeoutError, (DependencyTimeout, "Rekognition did not respond in time.")),
    (boto.NoCredentialsError, _CREDENTIALS),
    (boto.PartialCredentialsError, _CREDENTIALS),
    (boto.CredentialRetrievalError, _CREDENTIALS),
    (boto.TokenRetrievalError, _CREDENTIALS),
    (boto.UnauthorizedSSOTokenError, _CREDENTIALS),
    (boto.ParamValidationError, _BAD_NAME),
    (boto.UnknownEndpointError, _NO_OPERATION),
    (BotoCoreError, (DependencyUnavailable, "Rekognition cannot be reached.")),
)
_SERVER_ERROR = 500
_RETRY_SECONDS = 1.0
"""Quotas count by the second."""
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
_CONNECTION_ERRORS = (boto.ConnectTimeoutError, boto.EndpointConnectionError, boto.ConnectionClosedError)


def code_of(exc: BotoCoreError | ClientError) -> str:
    """Return AWS's code, or the exception's own name if AWS did not respond."""
    return str(exc.response["Error"].get("Code", "")) if isinstance(exc, ClientError) else type(exc).__name__


def is_throttling(exc: BaseException) -> bool:
    """Return whether AWS asks to slow down."""
    return isinstance(exc, ClientError) and _BY_CODE.get(code_of(exc)) is _SLOW_DOWN


def is_transient(exc: BaseException) -> bool:
    """Return whether the same call may well succeed a moment later: throttling, a server error, a broken connection.

    A read timeout does not count: it took all the time that a response is given.
    """
    if is_throttling(exc) or isinstance(exc, _CONNECTION_ERRORS):
        return True
    return isinstance(exc, ClientError) and _is_server_error(exc)


def is_surely_not_billed(exc: BotoCoreError | ClientError) -> bool:
    """Return whether the call never reached AWS, or AWS refused it before looking at the picture.

    A server error, a broken connection and a timeout leave it open.
    """
    if isinstance(exc, _NEVER_SENT) or is_throttling(exc):
        return True
    return isinstance(exc, ClientError) and not _is_server_error(exc)


def explain(exc: BotoCoreError | ClientError) -> DomainError:
    """Return the error that the caller sees; log AWS's code and request id."""
    code = code_of(exc)
    logger.warning("rekognition failed", code=code, aws_request_id=_request_id(exc))
    if isinstance(exc, ClientError):
        kind, message = _OTHER_REGION if _is_other_region(exc) else _BY_CODE.get(code, _unknown(code))
    else:
        kind, message = next(explanation for cause, explanation in _BY_CLASS if isinstance(exc, cause))
    return kind(message, retry_after=_RETRY_SECONDS if kind is Throttled else None)


def _is_other_region(exc: ClientError) -> bool:
    """Return whether AWS complains of a signature for another region; it has no code of its own for that."""
    message = str(exc.response["Error"].get("Message", ""))
    return code_of(exc) == "InvalidSignatureException" and "valid region" in message


def _unknown(code: str) -> _Explanation:
    return DependencyUnavailable, f"Rekognition failed with {code}."


def _is_server_error(exc: ClientError) -> bool:
    return int(exc.response["ResponseMetadata"].get("HTTPStatusCode", _SERVER_ERROR)) >= _SERVER_ERROR


def _request_id(exc: BotoCoreError | ClientError) -> str | None:
    return exc.response["ResponseMetadata"].get("RequestId") if isinstance(exc, ClientError) else None
