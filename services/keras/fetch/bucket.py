"""Published models in S3: s3://BUCKET/PREFIX/<version>/, each with its manifest."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import ValidationError

from services.keras.assets import explain
from services.keras.fetch.manifest import FILE, Manifest
from services.runtime.storage.s3 import s3_client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MISSING = {"404", "NoSuchKey", "NotFound"}


class BucketProblem(Exception):
    """S3 does not give what was asked for; the text says why and what to do."""


class _NotThere(BucketProblem):
    """S3 has no such object."""


class PublishedModel:
    """One model's versions. Methods block and raise BucketProblem."""

    def __init__(self, url: str, endpoint_url: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc or not parts.path.strip("/"):
            raise BucketProblem(f"{url!r} is not of the form s3://BUCKET/PREFIX.")
        self.url = f"s3://{parts.netloc}/{parts.path.strip('/')}"
        self._bucket, self._prefix = parts.netloc, parts.path.strip("/")
        self._endpoint_url = endpoint_url

    def newest(self) -> tuple[int, Manifest]:
        """The highest version that has a manifest: one without it is still being published."""
        for version in sorted(self._versions(), reverse=True):
            if manifest := self._manifest(version):
                return version, manifest
        raise BucketProblem(
            f"{self.url} holds no <version>/{FILE}, with a number as version. "
            f"Publish what services.keras.convert has written, {FILE} last."
        )

    def download(self, version: int, name: str, path: Path) -> None:
        """Writes one file of a version to the path."""
        with self._explained(f"{version}/{name}"):
            self._client.download_file(self._bucket, self._key(version, name), str(path))

    def _versions(self) -> Iterator[int]:
        with self._explained(""):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=f"{self._prefix}/", Delimiter="/"
            )
            names = [folder["Prefix"].split("/")[-2] for page in pages for folder in page.get("CommonPrefixes", [])]
        return (int(name) for name in names if name.isdecimal() and name == str(int(name)))

    def _manifest(self, version: int) -> Manifest | None:
        try:
            with self._explained(f"{version}/{FILE}"):
                answer = self._client.get_object(Bucket=self._bucket, Key=self._key(version, FILE))
                return Manifest.model_validate_json(answer["Body"].read())
        except _NotThere:
            return None
        except ValidationError as exc:
            raise BucketProblem(f"{self.url}/{version}/{FILE}: {explain(exc)}") from exc

    def _key(self, version: int, name: str) -> str:
        return f"{self._prefix}/{version}/{name}"

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        from boto3.exceptions import Boto3Error  # noqa: PLC0415 - as late as boto3
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            yield
        except ClientError as exc:
            kind = _NotThere if exc.response["Error"].get("Code") in _MISSING else BucketProblem
            raise kind(f"{self.url}/{what} cannot be read: {exc}") from exc
        except (BotoCoreError, Boto3Error) as exc:
            raise BucketProblem(f"{self.url}/{what} cannot be read: {exc}") from exc

    @cached_property
    def _client(self) -> "S3Client":
        retries = {"total_max_attempts": 5, "mode": "standard"}
        return s3_client(self._endpoint_url, connect_timeout=5, read_timeout=30, retries=retries)
