"""Failures of AWS's services, read in one way for every client of boto3.

The codes are those of botocore's service models and of its own retries (botocore/retries/standard.py,
botocore/data/_retry.json), and of
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html.
Import it as late as boto3, whose exceptions it needs.
"""

from collections.abc import Mapping
from enum import Enum, auto

from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError


class Kind(Enum):
    """What a failure means, whichever service it comes from."""

    THROTTLED = auto()
    """The service asks to slow down, and did nothing."""
    CONFLICT = auto()
    """Another request is changing the same thing, so this one did nothing."""
    SERVER = auto()
    """The service broke down; whether it did something is unknown."""
    UNREACHABLE = auto()
    """There was no connection, or it broke."""
    TIMEOUT = auto()
    """The service did not respond in time."""
    NO_CREDENTIALS_NOW = auto()
    """The source of the credentials, such as the instance's metadata, does not respond."""
    CREDENTIALS = auto()
    """The credentials are missing, wrong or expired."""
    CLOCK = auto()
    """This machine's clock differs too much from AWS's."""
    FORBIDDEN = auto()
    """The credentials are right, but do not permit this."""
    REFUSED = auto()
    """Anything else: the same request fails again."""


TRANSIENT = frozenset(
    {Kind.THROTTLED, Kind.CONFLICT, Kind.SERVER, Kind.UNREACHABLE, Kind.TIMEOUT, Kind.NO_CREDENTIALS_NOW}
)
"""The same request may well succeed a moment later."""
ERRORS = (BotoCoreError, ClientError, ResponseParserError, HTTPError)
"""All that boto3 raises for a call: the third for an answer that is none, the last while a body is read."""
CREDENTIALS_ADVICE = (
    "The server's AWS credentials are missing, wrong or expired. An operator has to renew them: the role of its "
    "service account, AWS_PROFILE, or AWS_ACCESS_KEY_ID with its secret and token."
)
CLOCK_ADVICE = (
    "The server's clock differs from AWS's by minutes, so AWS refuses its signature. An operator has to set it."
)

_CODES = {
    Kind.THROTTLED: (
        *("BandwidthLimitExceeded", "EC2ThrottledException", "LimitExceededException", "PriorRequestNotComplete"),
        *("ProvisionedThroughputExceededException", "RequestLimitExceeded", "RequestThrottled"),
        *("RequestThrottledException", "SlowDown", "ThrottledException", "Throttling", "ThrottlingException"),
        *("TooManyRequests", "TooManyRequestsException"),
    ),
    Kind.CONFLICT: (
        *("OperationAborted", "ReplicatedWriteConflictException", "TransactionConflict"),
        *("TransactionConflictException", "TransactionInProgress", "TransactionInProgressException"),
    ),
    Kind.SERVER: (
        *("Busy", "InternalError", "InternalFailure", "InternalServerError", "InternalServerException"),
        *("RequestTimeout", "RequestTimeoutException", "ServiceFailure", "ServiceUnavailable"),
        "ServiceUnavailableException",
    ),
    Kind.UNREACHABLE: ("BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch"),
    Kind.NO_CREDENTIALS_NOW: ("IDPCommunicationError",),
    Kind.CREDENTIALS: (
        *("AuthFailure", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature"),
        *("IDPRejectedClaim", "IncompleteSignatureException", "InvalidAccessKeyId", "InvalidClientTokenId"),
        "InvalidIdentityToken",
        *("InvalidSignatureException", "InvalidToken", "MissingAuthenticationToken"),
        *("MissingAuthenticationTokenException", "SignatureDoesNotMatch", "TokenRefreshRequired"),
        "UnrecognizedClientException",
    ),
    Kind.CLOCK: ("RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed"),
    Kind.FORBIDDEN: (
        *("403", "AccessDenied", "AccessDeniedException", "AccountProblem", "AllAccessDisabled", "Forbidden"),
        *("NotSignedUp", "OptInRequired", "SubscriptionRequiredException", "UnauthorizedAccess"),
        "UnauthorizedOperation",
    ),
}
_BY_CODE = {code: kind for kind, codes in _CODES.items() for code in codes}
_BY_STATUS = {429: Kind.THROTTLED, 509: Kind.THROTTLED}
_LASTING_STATUS = (501, 505)
"""Not Implemented, HTTP Version Not Supported."""
_SERVER_ERROR = 500
_BY_CLASS: tuple[tuple[tuple[type[Exception], ...], Kind], ...] = (
    ((boto.ReadTimeoutError,), Kind.TIMEOUT),
    ((boto.CredentialRetrievalError, boto.MetadataRetrievalError), Kind.NO_CREDENTIALS_NOW),
    (
        (
            *(boto.NoCredentialsError, boto.PartialCredentialsError, boto.NoAuthTokenError),
            *(boto.TokenRetrievalError, boto.SSOError),
        ),
        Kind.CREDENTIALS,
    ),
    ((ResponseParserError, boto.ChecksumError), Kind.SERVER),
    (
        (boto.HTTPClientError, boto.ConnectionError, boto.IncompleteReadError, boto.FlexibleChecksumError, HTTPError),
        Kind.UNREACHABLE,
    ),
)
_RETRY_SECONDS = 1.0
"""Quotas count by the second."""


def code_of(exc: Exception) -> str:
    """Return AWS's code, or the status if it sent none; the exception's own name if AWS did not respond."""
    if not isinstance(exc, ClientError):
        return type(exc).__name__
    return str(exc.response.get("Error", {}).get("Code") or status_of(exc) or "")


def status_of(exc: ClientError) -> int:
    """Return the HTTP status, 0 if unknown."""
    return int(exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def kind_of(exc: BaseException) -> Kind:
    """Return what an exception of boto3 means."""
    if isinstance(exc, ClientError):
        return _kind_of_response(exc)
    if isinstance(exc, boto.CredentialRetrievalError) and exc.kwargs.get("provider") == "custom-process":
        return Kind.CREDENTIALS  # a program of the operator's, which fails until somebody mends it
    return next((kind for classes, kind in _BY_CLASS if isinstance(exc, classes)), Kind.REFUSED)


def retry_after(exc: BaseException) -> float | None:
    """Return the seconds until another try makes sense, if known: AWS's own, or a second where it throttles."""
    seconds = _headers_of(exc).get("retry-after", "")
    if seconds.isdecimal():
        return float(seconds)
    return _RETRY_SECONDS if kind_of(exc) is Kind.THROTTLED else None


def _kind_of_response(exc: ClientError) -> Kind:
    code, status = code_of(exc), status_of(exc)
    if "Signature expired" in _message_of(exc) or "Signature not yet current" in _message_of(exc):
        return Kind.CLOCK
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status)
    if kind is None and "Throttl" in code:  # such as KMS.ThrottlingException
        return Kind.THROTTLED
    if kind is None and (status >= _SERVER_ERROR and status not in _LASTING_STATUS):
        return Kind.SERVER
    return kind or Kind.REFUSED


def _message_of(exc: ClientError) -> str:
    return str(exc.response.get("Error", {}).get("Message", ""))


def _headers_of(exc: BaseException) -> Mapping[str, str]:
    return exc.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}) if isinstance(exc, ClientError) else {}
