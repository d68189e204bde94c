"""From what goes wrong at AWS to what callers are told.

AWS's own messages name roles, accounts and signatures, so they are shown to nobody.
"""

import structlog
from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError

from services.runtime.errors import (
    DependencyTimeout,
    DependencyUnavailable,
    DomainError,
    ImageTooLarge,
    InvalidImage,
    InvalidRequest,
    Misconfigured,
    Throttled,
)

logger = structlog.get_logger()
_Told = tuple[type[DomainError], str]

_SLOW_DOWN: _Told = (Throttled, "Rekognition asks to slow down. Try again later, or ask AWS for a higher quota.")
_BAD_NAME: _Told = (InvalidRequest, "Rekognition does not take this bucket's or key's name.")
_CREDENTIALS: _Told = (
    Misconfigured,
    "The server's AWS credentials are missing, wrong or expired. An operator has to renew them.",
)
_NOT_ALLOWED: _Told = (
    Misconfigured,
    "The server's AWS identity may not call Rekognition. An operator has to allow the operations.",
)
_ELSEWHERE: _Told = (
    Misconfigured,
    "What listens at Rekognition's address lacks this operation. An operator has to choose another region or endpoint.",
)

_BY_CODE: dict[str, _Told] = {
    "AccessDenied": _NOT_ALLOWED,
    "AccessDeniedException": _NOT_ALLOWED,
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
    (BotoCoreError, (DependencyUnavailable, "Rekognition cannot be reached.")),
)


def code_of(exc: BotoCoreError | ClientError) -> str:
    """AWS's code, or the exception's own name where AWS did not answer."""
    return str(exc.response["Error"].get("Code", "")) if isinstance(exc, ClientError) else type(exc).__name__


def explain(exc: BotoCoreError | ClientError) -> DomainError:
    """What to tell the caller; the log gets AWS's code and request id."""
    code = code_of(exc)
    logger.warning("rekognition failed", code=code, aws_request_id=_request_id(exc))
    if isinstance(exc, ClientError):
        kind, message = _BY_CODE.get(code, (DependencyUnavailable, f"Rekognition failed with {code}."))
    else:
        kind, message = next(told for cause, told in _BY_CLASS if isinstance(exc, cause))
    return kind(message)


def _request_id(exc: BotoCoreError | ClientError) -> str | None:
    return exc.response["ResponseMetadata"].get("RequestId") if isinstance(exc, ClientError) else None
