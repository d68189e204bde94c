"""Who may ask: SigV4 checked against configured keys, as AWS checks it, with botocore's own signer."""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.rekognition.wire.errors import AwsError

_SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<id>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/rekognition/aws4_request, *"
    r"SignedHeaders=(?P<headers>[^,]+), *Signature=(?P<signature>[0-9a-f]{64})"
)
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class SignedRequest:
    """What a signature covers."""

    url: str
    headers: Mapping[str, str]
    """By lower-case names."""
    body: bytes


@dataclass(frozen=True)
class Access:
    """Access keys and what they may do."""

    keys: Mapping[str, str] = field(default_factory=dict)
    """Secrets by access key id. Without any, every signature is good."""
    expired: frozenset[str] = frozenset()
    """Ids among the keys whose token is over."""
    denied: frozenset[str] = frozenset()
    """Operations that no key may ask for."""
    region: str | None = None
    """The only one that requests may be signed for."""

    def check(self, operation: str, request: SignedRequest) -> None:
        """Raises AwsError with AWS's codes: UnrecognizedClientException and the like."""
        authorization = request.headers.get("authorization", "")
        if not authorization:
            raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token")
        signed = _SIGNED.fullmatch(authorization)
        if not signed:
            raise AwsError("IncompleteSignatureException", "The Authorization header is no SigV4 for rekognition.")
        if self.region and signed["region"] != self.region:
            raise AwsError("InvalidSignatureException", "Credential should be scoped to a valid region.")
        if self.keys:
            self._check_key(signed, request)
        if operation in self.denied:
            raise _denied(operation, signed["id"])

    def _check_key(self, signed: re.Match[str], request: SignedRequest) -> None:
        secret = self.keys.get(signed["id"])
        if secret is None:
            raise AwsError("UnrecognizedClientException", "The security token included in the request is invalid.")
        _check_date(signed, request)
        if not hmac.compare_digest(_signature(signed, secret, request), signed["signature"]):
            raise AwsError(
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
                "Access Key and signing method. Consult the service documentation for details.",
            )
        if signed["id"] in self.expired:
            raise AwsError("ExpiredTokenException", "The security token included in the request is expired")


def _check_date(signed: re.Match[str], request: SignedRequest) -> None:
    told = request.headers.get("x-amz-date", "")
    try:
        then = datetime.strptime(told, SIGV4_TIMESTAMP).replace(tzinfo=UTC)
    except ValueError:
        raise AwsError("IncompleteSignatureException", "The request has no valid X-Amz-Date header.") from None
    now = datetime.now(UTC)
    if signed["day"] != told[:8]:
        raise AwsError("InvalidSignatureException", "Date in Credential scope does not match YYYYMMDD from X-Amz-Date.")
    if abs(now - then) > _SKEW:
        late, limit = ("expired", now - _SKEW) if then < now else ("not yet current", now + _SKEW)
        than = "earlier" if then < now else "later"
        limit_told = limit.strftime(SIGV4_TIMESTAMP)
        raise AwsError("InvalidSignatureException", f"Signature {late}: {told} is now {than} than {limit_told}")


def _signature(signed: re.Match[str], secret: str, request: SignedRequest) -> str:
    """What the request would be signed with by somebody who has the secret."""
    names = signed["headers"].split(";")
    headers = {name: request.headers[name] for name in names if name in request.headers}
    again = AWSRequest("POST", request.url, headers, request.body)
    again.context["timestamp"] = request.headers["x-amz-date"]
    signer = SigV4Auth(Credentials(signed["id"], secret), "rekognition", signed["region"])
    return str(signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again))


def _denied(operation: str, key: str) -> AwsError:
    return AwsError(
        "AccessDeniedException",
        f"User: arn:aws:iam::123456789012:user/{key} is not authorized to perform: rekognition:{operation} because no "
        f"identity-based policy allows the rekognition:{operation} action",
    )
