"""Amazon's own responses: recorded into a folder, one JSON file a request, and replayed without Amazon."""

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session

from local.rekognition.wire.errors import AwsError
from local.rekognition.wire.protocol import Handler, Reply
from services.runtime.storage import files

_TIMEOUT_SECONDS = 60
_PERMANENT = (
    *("InvalidParameterException", "InvalidImageFormatException", "ImageTooLargeException", "ValidationException"),
    *("InvalidS3ObjectException", "ResourceNotFoundException", "ResourceAlreadyExistsException", "ConflictException"),
    *("InvalidPaginationTokenException", "ServiceQuotaExceededException", "IdempotentParameterMismatchException"),
)
"""Errors that are recorded. Throttling, credentials and Amazon's own faults are transient."""


class Recordings:
    """The files OPERATION-HASH.json of a folder. Safe to share between threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def recorder(self, upstream: Handler) -> Handler:
        """Return a handler that forwards to `upstream` and keeps the replies."""

        def handle(name: str, body: bytes) -> Reply:
            reply = upstream(name, body)
            if _is_permanent(reply):
                self._write(name, body, reply)
            return reply

        return handle

    def replay(self, name: str, body: bytes) -> Reply:
        """Return the last reply to the same parameters, regardless of their order and ClientRequestToken."""
        path = self._path(name, body)
        try:
            recording = json.loads(path.read_bytes())
            return Reply(int(recording["http_status"]), json.dumps(recording["answer"]).encode())
        except FileNotFoundError:
            raise AwsError(
                "UnrecordedRequestException", f"No response is recorded for this {name}; --record it first."
            ) from None
        except (LookupError, TypeError, ValueError) as exc:
            raise AwsError("UnrecordedRequestException", f"{path} is damaged: {exc}; --record it again.") from exc

    def _write(self, name: str, body: bytes, reply: Reply) -> None:
        recording = {
            "operation": name,
            "request": _without_bytes(_parameters(body)),
            "http_status": reply.http_status,
            "answer": json.loads(reply.body or b"{}"),
        }
        files.write(self._path(name, body), json.dumps(recording, indent=2))

    def _path(self, name: str, body: bytes) -> Path:
        key = json.dumps([name, _parameters(body)], sort_keys=True).encode()
        operation = name if name.isalnum() else "unknown"
        return self._folder / f"{operation}-{hashlib.sha256(key).hexdigest()[:32]}.json"


class Upstream:
    """Amazon Rekognition, or another endpoint with its protocol, as a handler. Safe to share between threads.

    Requests are forwarded unchanged, signed with the standard credential chain.
    """

    def __init__(self, region: str, url: str | None = None) -> None:
        """Connect to the URL, or to Amazon if it is None. Raises ValueError without credentials."""
        session = botocore.session.get_session()
        credentials = session.get_credentials()
        if credentials is None:
            raise ValueError("there are no AWS credentials to sign with: set AWS_ACCESS_KEY_ID or AWS_PROFILE")
        self._credentials = credentials
        client = session.create_client("rekognition", region_name=region, endpoint_url=url)
        self._url = f"{client.meta.endpoint_url}/"
        self._region = region

    def __call__(self, name: str, body: bytes) -> Reply:
        """Return the reply, errors included. Blocks; raises AwsError with status 503 if there is none."""
        target = f"RekognitionService.{name}"
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
        request = AWSRequest("POST", self._url, headers, body)
        SigV4Auth(self._credentials.get_frozen_credentials(), "rekognition", self._region).add_auth(request)
        try:
            response = self._http.send(request.prepare())
        except HTTPClientError as exc:
            raise AwsError("ServiceUnavailableException", f"{self._url} does not respond: {exc}", 503) from None
        return Reply(response.status_code, response.content)

    @cached_property
    def _http(self) -> URLLib3Session:
        return URLLib3Session(timeout=_TIMEOUT_SECONDS, max_pool_connections=64)


def _is_permanent(reply: Reply) -> bool:
    if reply.http_status == 200:  # noqa: PLR2004 - HTTP's OK
        return True
    code = str(json.loads(reply.body or b"{}").get("__type", "")).rpartition("#")[2]
    return reply.http_status == 400 and code in _PERMANENT  # noqa: PLR2004 - HTTP's bad request


def _parameters(body: bytes) -> dict[str, Any]:
    try:
        parameters = dict(json.loads(body))
    except (ValueError, TypeError):
        raise AwsError("SerializationException", "The body is not a JSON object.") from None
    parameters.pop("ClientRequestToken", None)
    return parameters


def _without_bytes(value: Any) -> Any:
    """Replace pictures by their SHA-256: people read recordings, and keep them in repositories."""
    if not isinstance(value, Mapping):
        return value
    return {
        name: f"sha256:{hashlib.sha256(base64.b64decode(one)).hexdigest()}" if name == "Bytes" else _without_bytes(one)
        for name, one in value.items()
    }
