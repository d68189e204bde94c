"""What goes wrong at AWS: whether it passes, whether it is billed, and what callers are told.

AWS's own messages name roles, accounts and signatures, so they are shown to nobody.
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
    Throttled,
)

logger = structlog.get_logger()
_Told = tuple[type[DomainError], str]

_SLOW_DOWN: _Told = (Throttled, "Rekognition asks to slow down. Try again later, or ask AWS for a higher quota.")
_BAD_NAME: _Told = (InvalidRequest, "Rekognition does not take this name of a bucket, a key or a collection.")
_CREDENTIALS: _Told = (
    CredentialsRefused,
    (
        "The server's AWS credentials are missing, wrong or expired. An operator has to renew them: the role of its "
        "service account, AWS_PROFILE, or AWS_ACCESS_KEY_ID with its secret and token."
    ),
)
_NOT_ALLOWED: _Told = (
    NotPermitted,
    (
        "The server's AWS identity may not call this operation of Rekognition, or not for this collection. "
        "An operator has to allow it in the identity's IAM policy."
    ),
)
_NO_COLLECTION: _Told = (
    CollectionNotFound,
    "Rekognition has no such collection in its region. Name one that `aws rekognition list-collections` lists.",
)
_ELSEWHERE: _Told = (
    Misconfigured,
    "What listens at Rekognition's address lacks this operation. An operator has to choose another region or endpoint.",
)
_OTHER_REGION: _Told = (
    Misconfigured,
    (
        "What listens at Rekognition's address is in another region than the server's. "
        "An operator has to set AWS_REGION or MARQUEE_REKOGNITION_REGION to the endpoint's."
    ),
)

_BY_CODE: dict[str, _Told] = {
    "AccessDenied": _NOT_ALLOWED,
    "AccessDeniedException": _NOT_ALLOWED,
    "ConflictException": (
        GalleryBusy,
        "Somebody else changes this user of the collection at the same time. Try again in a moment.",
    ),
    "ExpiredToken": _CREDENTIALS,
    "ExpiredTokenException": _CREDENTIALS,
    "ImageTooLargeException": (ImageTooLarge, "Rekognition takes pictures of at most 15 MB from S3."),
    "IncompleteSignatureException": _CREDENTIALS,
    "InvalidClientTokenId": _CREDENTIALS,
    "InvalidImageFormatException": (InvalidImage, "Rekognition cannot read this picture: it takes JPEG and PNG."),
    "InvalidParameterException": (
        InvalidImage,
        "Rekognition refuses this picture: it takes 80 to 10000 pixels a side.",
    ),
    "InvalidSignatureException": _CREDENTIALS,
    "LimitExceededException": _SLOW_DOWN,
    "MissingAuthenticationTokenException": _CREDENTIALS,
    "OptInRequired": _NOT_ALLOWED,
    "ProvisionedThroughputExceededException": _SLOW_DOWN,
    "ResourceNotFoundException": _NO_COLLECTION,
    "ServiceQuotaExceededException": (
        InvalidRequest,
        "Rekognition keeps no more in this collection: 20 million faces, and 100 faces a user.",
    ),
    "SubscriptionRequiredException": _NOT_ALLOWED,
    "Throttling": _SLOW_DOWN,
    "ThrottlingException": _SLOW_DOWN,
    "TooManyRequestsException": _SLOW_DOWN,
    "UnknownOperationException": _ELSEWHERE,
    "UnrecognizedClientException": _CREDENTIALS,
    "ValidationException": _BAD_NAME,
}
_BY_CLASS: tuple[tuple[type[BotoCoreError], _Told], ...] = (
    (boto.ReadTimeoutError, (DependencyTimeout, "Rekognition did not answer in time.")),
    (boto.NoCredentialsError, _CREDENTIALS),
    (boto.PartialCredentialsError, _CREDENTIALS),
    (boto.CredentialRetrievalError, _CREDENTIALS),
    (boto.TokenRetrievalError, _CREDENTIALS),
    (boto.UnauthorizedSSOTokenError, _CREDENTIALS),
    (boto.ParamValidationError, _BAD_NAME),
    (boto.UnknownEndpointError, _ELSEWHERE),
    (BotoCoreError, (DependencyUnavailable, "Rekognition cannot be reached.")),
)
_SERVER_ERROR = 500
_A_SECOND = 1.0  # quotas are by the second
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
_BREAKS = (boto.ConnectTimeoutError, boto.EndpointConnectionError, boto.ConnectionClosedError)


def code_of(exc: BotoCoreError | ClientError) -> str:
    """AWS's code, or the exception's own name where AWS did not answer."""
    return str(exc.response["Error"].get("Code", "")) if isinstance(exc, ClientError) else type(exc).__name__


def is_throttling(exc: BaseException) -> bool:
    """Whether AWS asks to slow down."""
    return isinstance(exc, ClientError) and _BY_CODE.get(code_of(exc)) is _SLOW_DOWN


def passes(exc: BaseException) -> bool:
    """Whether the same call may well succeed a moment later: throttling, an error of AWS's, a broken connection.

    A read timeout does not count: it took all the time that an answer is given.
    """
    return is_throttling(exc) or isinstance(exc, _BREAKS) or (isinstance(exc, ClientError) and _is_theirs(exc))


def is_surely_not_billed(exc: BotoCoreError | ClientError) -> bool:
    """Whether the call never reached AWS, or AWS refused it before looking at the picture.

    An error of AWS's own, a broken connection and a timeout leave it open.
    """
    return isinstance(exc, _NEVER_SENT) or is_throttling(exc) or (isinstance(exc, ClientError) and not _is_theirs(exc))


def explain(exc: BotoCoreError | ClientError) -> DomainError:
    """What to tell the caller; the log gets AWS's code and request id."""
    code = code_of(exc)
    logger.warning("rekognition failed", code=code, aws_request_id=_request_id(exc))
    if isinstance(exc, ClientError):
        kind, message = _OTHER_REGION if _is_other_region(exc) else _BY_CODE.get(code, _unknown(code))
    else:
        kind, message = next(told for cause, told in _BY_CLASS if isinstance(exc, cause))
    return kind(message, retry_after=_A_SECOND if kind is Throttled else None)


def _is_other_region(exc: ClientError) -> bool:
    """AWS has no code of its own for a signature of another region."""
    words = str(exc.response["Error"].get("Message", ""))
    return code_of(exc) == "InvalidSignatureException" and "valid region" in words


def _unknown(code: str) -> _Told:
    return DependencyUnavailable, f"Rekognition failed with {code}."


def _is_theirs(exc: ClientError) -> bool:
    return int(exc.response["ResponseMetadata"].get("HTTPStatusCode", _SERVER_ERROR)) >= _SERVER_ERROR


def _request_id(exc: BotoCoreError | ClientError) -> str | None:
    return exc.response["ResponseMetadata"].get("RequestId") if isinstance(exc, ClientError) else None
