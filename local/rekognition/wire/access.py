"""Access control: SigV4 checked against configured keys as AWS checks it, with botocore's own signer."""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.rekognition.wire.errors import AwsError

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<id>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/rekognition/aws4_request, *"
    r"SignedHeaders=(?P<headers>[^,]+), *Signature=(?P<signature>[0-9a-f]{64})"
)
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class SignedRequest:
    """The parts of a request that its signature covers."""

    url: str
    headers: Mapping[str, str]
    """Values by lower-case name."""
    body: bytes


@dataclass(frozen=True)
class Access:
    """Access keys and their permissions."""

    keys: Mapping[str, str] = field(default_factory=dict)
    """Secrets by access key id. If empty, every authorization is accepted."""
    expired: frozenset[str] = frozenset()
    """Ids of the keys whose token has expired."""
    denied: frozenset[str] = frozenset()
    """Operations that no key may call."""
    region: str | None = None
    """The only region that requests may be signed for; None accepts any."""

    def check(self, operation: str, request: SignedRequest) -> None:
        """Raise AwsError with AWS's code, such as UnrecognizedClientException, unless the request may be handled."""
        header = request.headers.get("authorization", "")
        if not header:
            raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token")
        authorization = _AUTHORIZATION.fullmatch(header)
        if not authorization:
            raise AwsError("IncompleteSignatureException", "The Authorization header is not SigV4 for rekognition.")
        if self.region and authorization["region"] != self.region:
            raise AwsError("InvalidSignatureException", "Credential should be scoped to a valid region.")
        if self.keys:
            self._check_key(authorization, request)
        if operation in self.denied:
            raise _denied(operation, authorization["id"])

    def _check_key(self, authorization: re.Match[str], request: SignedRequest) -> None:
        secret = self.keys.get(authorization["id"])
        if secret is None:
            raise AwsError("UnrecognizedClientException", "The security token included in the request is invalid.")
        _check_date(authorization, request)
        if not hmac.compare_digest(_signature(authorization, secret, request), authorization["signature"]):
            raise AwsError(
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
                "Access Key and signing method. Consult the service documentation for details.",
            )
        if authorization["id"] in self.expired:
            raise AwsError("ExpiredTokenException", "The security token included in the request is expired")


def _check_date(authorization: re.Match[str], request: SignedRequest) -> None:
    date = request.headers.get("x-amz-date", "")
    try:
        then = datetime.strptime(date, SIGV4_TIMESTAMP).replace(tzinfo=UTC)
    except ValueError:
        raise AwsError("IncompleteSignatureException", "The request has no valid X-Amz-Date header.") from None
    now = datetime.now(UTC)
    if authorization["day"] != date[:8]:
        raise AwsError("InvalidSignatureException", "Date in Credential scope does not match YYYYMMDD from X-Amz-Date.")
    if abs(now - then) > _SKEW:
        late, limit = ("expired", now - _SKEW) if then < now else ("not yet current", now + _SKEW)
        than = "earlier" if then < now else "later"
        bound = limit.strftime(SIGV4_TIMESTAMP)
        raise AwsError("InvalidSignatureException", f"Signature {late}: {date} is now {than} than {bound}")


def _signature(authorization: re.Match[str], secret: str, request: SignedRequest) -> str:
    """Return the signature that the secret gives the request."""
    names = authorization["headers"].split(";")
    headers = {name: request.headers[name] for name in names if name in request.headers}
    copy = AWSRequest("POST", request.url, headers, request.body)
    copy.context["timestamp"] = request.headers["x-amz-date"]
    signer = SigV4Auth(Credentials(authorization["id"], secret), "rekognition", authorization["region"])
    return str(signer.signature(signer.string_to_sign(copy, signer.canonical_request(copy)), copy))


def _denied(operation: str, key: str) -> AwsError:
    return AwsError(
        "AccessDeniedException",
        f"User: arn:aws:iam::123456789012:user/{key} is not authorized to perform: rekognition:{operation} because no "
        f"identity-based policy allows the rekognition:{operation} action",
    )
