"""Pictures in S3, fetched to be drawn into with the caller's own credentials."""

import re
from functools import cached_property
from importlib.util import find_spec
from typing import Any

from marquee.sources import MAX_IMAGE_BYTES, s3_object_of

_PASSWORD = re.compile(r"//.*@|[^\s/\"`]+@")
"""User and password in the URL of an endpoint."""
_EXTRA = "pip install 'marquee[s3]'"
_REASONS = {
    "NoSuchKey": "there is no such object",
    "404": "there is no such object",
    "NoSuchBucket": "there is no such bucket",
    "NoSuchVersion": "the object has no such version",
    "AccessDenied": "your credentials do not allow it: s3:GetObject is needed, or s3:GetObjectVersion for a version",
    "403": "your credentials do not allow it: s3:GetObject is needed, or s3:GetObjectVersion for a version",
    "InvalidAccessKeyId": "AWS does not know your access key",
    "SignatureDoesNotMatch": "your secret access key is wrong",
    "ExpiredToken": "your credentials have expired: sign in again",
    "InvalidToken": "your session token is wrong",
    "InvalidObjectState": "the object is archived: restore it first",
}


class Store:
    """S3 as boto3 reaches it: with credentials, region and endpoint from the environment or AWS's files."""

    def __init__(self) -> None:
        """Find credentials. Raises OSError, whose text says what is missing, and what to do."""
        self._session = open_session("fetches it")

    def fetch(self, url: str) -> bytes:
        """Return an object of at most 15 MiB: "s3://bucket/key", "s3://bucket/key?versionId=…".

        Raises OSError, InvalidRequest.
        """
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - an extra
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - botocore's

        try:
            return self._read(url)
        except ClientError as error:
            raise OSError(f"{url} cannot be fetched: {_reason(error)}.") from None
        except HTTPError:
            raise OSError(f"{url} cannot be fetched: the connection has broken off.") from None
        except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no URL
            raise OSError(f"{url} cannot be fetched: {without_password(error)}") from None

    def _read(self, url: str) -> bytes:
        s3_object = s3_object_of(url)
        version = {"VersionId": s3_object.version_id} if s3_object.version_id else {}
        answer = self._client.get_object(Bucket=s3_object.bucket, Key=s3_object.key, **version)
        with answer["Body"] as body:
            content: bytes = body.read(MAX_IMAGE_BYTES + 1)
            if len(content) > MAX_IMAGE_BYTES:
                raise OSError(f"{url} cannot be fetched: it has more than 15 MiB.")
            body.read()  # nothing more, or an error if the connection has broken off
        return content

    @cached_property
    def _client(self) -> Any:
        from botocore.config import Config  # noqa: PLC0415 - an extra

        config = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 3, "mode": "standard"})
        return self._session.client("s3", config=config)


def open_session(what: str) -> Any:
    """Return boto3's session, which has credentials; `what` says for the error what boto3 does.

    Raises OSError, whose text says what is missing, and what to do.
    """
    if find_spec("boto3") is None:
        raise OSError(f"boto3 is missing, which {what}: {_EXTRA}.")
    from boto3 import Session  # noqa: PLC0415 - an extra
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - likewise

    try:
        session = Session()
        has_credentials = session.get_credentials() is not None
    except BotoCoreError as error:  # a profile that does not exist, half of a pair of keys
        raise OSError(str(error)) from None
    if not has_credentials:
        raise OSError("there are no AWS credentials: set AWS_PROFILE, or an access key and its secret.")
    return session


def without_password(error: BaseException) -> str:
    """Return the error's text without a password that an endpoint's URL may have."""
    return _PASSWORD.sub("//***@", str(error))


def _reason(error: Any) -> str:
    """Return what a ClientError means."""
    details = error.response.get("Error", {})
    return _REASONS.get(details.get("Code", ""), f"S3 answers {details.get('Code')}: {details.get('Message', '')}")
