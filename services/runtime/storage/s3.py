"""Objects of S3, or of a server that speaks its protocol.

Imports neither gRPC nor NumPy, and boto3 only on first use, so that a downloader, the Lambda and servers without S3
can import it.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from services.runtime.errors import (
    CredentialsRefused,
    DependencyUnavailable,
    InvalidRequest,
    Misconfigured,
    ObjectForbidden,
    ObjectNotFound,
)
from services.runtime.requests import check_size

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from marquee.v1 import recognizer_pb2 as pb
    from services.runtime.storage.failures import Kind

_SCHEME = "s3://"
_MISSING = {"404", "NoSuchKey", "NoSuchVersion", "NotFound"}
_NO_BUCKET = "NoSuchBucket"
_CHANGED = {"412", "ConditionalRequestConflict", "PreconditionFailed"}
_UNVERSIONED = "null"
"""Version of an object that the next one replaces."""
_ARCHIVED = "InvalidObjectState"
_BAD_NAME = {"InvalidBucketName", "InvalidURI", "KeyTooLongError", "ParamValidationError"}


class Changed(Exception):
    """The file changed after its writer read it."""


@dataclass(frozen=True)
class S3Url:
    """s3://BUCKET/KEY. The key is taken literally: "#", "?" and "%" are characters like others."""

    bucket: str
    key: str
    version: str = ""
    """S3's version id, never part of the text; empty: the latest version."""

    @classmethod
    def parse(cls, text: str) -> "S3Url":
        """Return the URL of an object. Raises InvalidRequest without a bucket or a key."""
        bucket, _, key = text.removeprefix(_SCHEME).partition("/")
        if not is_s3(text) or not bucket or not key:
            raise InvalidRequest(f"{text!r} is not of the form s3://BUCKET/KEY.")
        return cls(bucket, key)

    @classmethod
    def parse_folder(cls, text: str) -> "S3Url":
        """Return s3://BUCKET/PREFIX with one "/" after the prefix; an empty prefix is the whole bucket.

        Raises InvalidRequest without a bucket.
        """
        bucket, _, prefix = text.removeprefix(_SCHEME).partition("/")
        if not is_s3(text) or not bucket:
            raise InvalidRequest(f"{text!r} is not of the form s3://BUCKET/PREFIX.")
        prefix = prefix.rstrip("/")
        return cls(bucket, f"{prefix}/" if prefix else "")

    def child(self, name: str) -> "S3Url":
        """Return the URL of an object in this folder."""
        return replace(self, key=f"{self.key}{name}")

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.key}"


class Object(NamedTuple):
    """An object as it was read."""

    content: bytes
    etag: str
    version: str
    """Empty where the bucket keeps no versions: what is read under the same name later may be another object."""
    time: datetime | None
    """When it was written."""


def is_s3(text: str) -> bool:
    """Return whether the text begins with s3://."""
    return text.startswith(_SCHEME)


class S3:
    """Objects in buckets that the operator has configured. Thread-safe; methods block.

    Uses the standard credential chain. Methods raise ObjectNotFound for a missing object, DependencyUnavailable for
    transient errors and Misconfigured for all others.
    """

    def __init__(self, endpoint_url: str | None = None, **config: Any) -> None:
        """Use Amazon S3, or the server at `endpoint_url`; `config` goes to botocore's Config."""
        self._endpoint_url = endpoint_url
        self._config = config

    def read(self, url: S3Url, check_length: Callable[[int], None] | None = None) -> tuple[bytes, str]:
        """Return the object's bytes and its ETag. Raises what `check_length` raises, before reading."""
        found = self.get(url, check_length)
        return found.content, found.etag

    def get(self, url: S3Url, check_length: Callable[[int], None] | None = None) -> Object:
        """Return the object. Raises what `check_length` raises, before reading."""
        response = self._call("get_object", url)
        with closing(response["Body"]) as body, self._explained(url):
            if check_length:
                check_length(response["ContentLength"])
            content = bytes(body.read())  # read(amount) does not notice a truncated response
        version = response.get("VersionId", "")
        fixed = "" if version == _UNVERSIONED else version
        return Object(content, response.get("ETag", ""), fixed, response.get("LastModified"))

    def length(self, url: S3Url) -> int:
        """Return the object's size in bytes."""
        return int(self._call("head_object", url)["ContentLength"])

    def etag(self, url: S3Url) -> str:
        """Return the object's ETag, which changes with its content."""
        return str(self._call("head_object", url)["ETag"])

    def write(self, url: S3Url, content: bytes, etag: str) -> str:
        """Replace the object if it still has this ETag, or create it if `etag` is empty; return the new ETag.

        Raises Changed if the object has another ETag or is gone.
        """
        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        try:
            return str(self._call("put_object", url, Body=content, **condition)["ETag"])
        except ObjectNotFound:
            raise Changed from None

    def touch(self, url: S3Url) -> None:
        """Have the object's time be now."""
        source = {"Bucket": url.bucket, "Key": url.key}
        self._call("copy_object", url, CopySource=source, MetadataDirective="REPLACE")

    def erase(self, url: S3Url, before: datetime | None = None) -> list[str]:
        """Delete the object with all its versions and delete markers; return their version ids.

        Given `before`, leave versions that were written since. A bucket that never kept versions has one, "null".
        """
        with self._explained(url):
            pages = self.client.get_paginator("list_object_versions").paginate(Bucket=url.bucket, Prefix=url.key)
            found: list[Any] = [
                one for page in pages for one in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
            ]
        own = [one for one in found if one["Key"] == url.key and (before is None or one["LastModified"] < before)]
        for one in own:
            self._call("delete_object", replace(url, version=one["VersionId"]))
        return [one["VersionId"] for one in own]

    def names(self, url: S3Url, before: datetime) -> Iterator[list[str]]:
        """Yield the names of the folder's objects that were written last before this time, a page at a time."""
        with self._explained(url):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=url.bucket, Prefix=url.key):
                old = (item["Key"] for item in page.get("Contents", []) if item["LastModified"] < before)
                yield [key.removeprefix(url.key) for key in old]

    def folders(self, url: S3Url) -> list[str]:
        """Return the names of the folders directly in this one."""
        with self._explained(url):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=url.bucket, Prefix=url.key, Delimiter="/"
            )
            return [folder["Prefix"].split("/")[-2] for page in pages for folder in page.get("CommonPrefixes", [])]

    def download(self, url: S3Url, path: Path) -> None:
        """Write the object to a file. Raises OSError if the disk refuses it."""
        from boto3.exceptions import Boto3Error  # noqa: PLC0415 - as late as boto3

        with self._explained(url):
            try:
                self.client.download_file(url.bucket, url.key, str(path))
            except Boto3Error as exc:
                raise _unavailable(url, type(exc).__name__) from exc  # after several attempts

    def download_all(self, prefix: S3Url, folder: Path, select: Callable[[str, int], bool]) -> None:
        """Copy the objects whose keys begin with the prefix and whose key and size pass `select`.

        Raises Misconfigured for a key that cannot be a file in the folder, such as one that begins with "/" if the
        prefix is empty.
        A file's path in the folder is its key without the prefix up to the prefix's last slash: for people/ and for
        people/a, people/anna/1.jpg becomes anna/1.jpg. Keys that end with a slash are folders and are skipped.
        """
        with self._explained(prefix):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=prefix.bucket, Prefix=prefix.key):
                for item in page.get("Contents", []):
                    if not item["Key"].endswith("/") and select(item["Key"], item["Size"]):
                        self._copy(replace(prefix, key=item["Key"]), _path_in(folder, item["Key"], prefix.key))

    def _copy(self, url: S3Url, path: Path) -> None:
        """Write the object to a file in a folder of its own making. Raises Misconfigured if the disk refuses it."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.download(url, path)
        except OSError as exc:  # the name is too long, or is a file's and a folder's at once
            raise Misconfigured(f"The key {url.key!r} cannot be a file: {exc.strerror or exc}.") from exc

    @cached_property
    def client(self) -> "S3Client":
        """boto3's client."""
        import boto3  # noqa: PLC0415 - 0.3 s and 35 MiB that a process without S3 objects does not pay
        from botocore.config import Config  # noqa: PLC0415 - as late as boto3

        # Only Amazon is sure to have a host name for each bucket.
        config = Config(s3={"addressing_style": "path"} if self._endpoint_url else {}, **self._config)
        return boto3.client("s3", endpoint_url=self._endpoint_url, config=config)

    def _call(self, operation: str, url: S3Url, **arguments: Any) -> Any:
        if url.version:
            arguments["VersionId"] = url.version
        with self._explained(url):
            return getattr(self.client, operation)(Bucket=url.bucket, Key=url.key, **arguments)

    @contextmanager
    def _explained(self, url: S3Url) -> Iterator[None]:
        from services.runtime.storage import failures  # noqa: PLC0415 - as late as boto3

        try:
            yield
        except failures.ERRORS as exc:
            code, kind = failures.code_of(exc), failures.kind_of(exc)
            if kind in failures.TRANSIENT:
                raise _unavailable(url, code, failures.retry_after(exc)) from exc
            raise self._lasting(url, code, kind) from exc

    def _lasting(self, url: S3Url, code: str, kind: "Kind") -> Exception:
        """Return the error for a failure that does not pass by itself."""
        from services.runtime.storage import failures  # noqa: PLC0415 - as late as boto3

        if code in _CHANGED:
            return Changed()
        if code in _MISSING:
            return ObjectNotFound(f"There is no object {url}.", bucket=url.bucket)
        if kind is failures.Kind.CREDENTIALS:
            return CredentialsRefused(f"S3 refuses {url}: {code}. {failures.CREDENTIALS_ADVICE}")
        if kind is failures.Kind.CLOCK:
            return CredentialsRefused(f"S3 refuses {url}: {code}. {failures.CLOCK_ADVICE}")
        return self._refused(url, code, is_forbidden=kind is failures.Kind.FORBIDDEN)

    def _refused(self, url: S3Url, code: str, *, is_forbidden: bool) -> Exception:
        del is_forbidden
        return Misconfigured(f"S3 refuses {url}: {code}.")


class ObjectStore(S3):
    """Pictures in buckets that callers name.

    Methods raise ObjectNotFound, ObjectForbidden, InvalidRequest for a name that no object can have, CredentialsRefused
    and DependencyUnavailable.
    """

    def __init__(self, endpoint_url: str | None = None) -> None:
        retries = {"total_max_attempts": 2, "mode": "standard"}
        super().__init__(endpoint_url, connect_timeout=2, read_timeout=5, max_pool_connections=64, retries=retries)

    def fetch(self, s3_object: "pb.S3Object") -> bytes:
        """Return the object's bytes, at most 15 MiB. Also raises ImageMissing and ImageTooLarge."""
        return self.fetch_object(s3_object).content

    def fetch_object(self, s3_object: "pb.S3Object") -> Object:
        """Return the object with its version and time; else as `fetch`."""
        return self.get(_url_of(s3_object), check_size)

    def check(self, s3_object: "pb.S3Object") -> None:
        """Raise what `fetch` would raise, without reading the object."""
        check_size(self.length(_url_of(s3_object)))

    def _refused(self, url: S3Url, code: str, *, is_forbidden: bool) -> Exception:
        if code == _NO_BUCKET:
            return ObjectNotFound(f"There is no bucket {url.bucket}.", bucket=url.bucket)
        if is_forbidden:
            message = (
                f"The servers are not permitted to read {url}, or there is none and they may not know (s3:ListBucket)."
            )
            return ObjectForbidden(message, bucket=url.bucket)
        if code == _ARCHIVED:
            return ObjectForbidden(f"{url} is archived in S3 Glacier. Restore it first.", bucket=url.bucket)
        if code in _BAD_NAME:
            return InvalidRequest(f"S3 does not accept the bucket or the key of {url}.", field="image.s3_object")
        return DependencyUnavailable(f"S3 refuses {url}: {code}.")


def _url_of(s3_object: "pb.S3Object") -> S3Url:
    return S3Url(s3_object.bucket, s3_object.key, s3_object.version_id)


def _path_in(folder: Path, key: str, prefix: str) -> Path:
    """Return where the object goes: its key without the prefix up to the prefix's last slash. Raises Misconfigured."""
    name = key.removeprefix(prefix.rpartition("/")[0]).lstrip("/") if prefix else key
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise Misconfigured(f"The key {key!r} leads out of its folder.")
    return folder / path


def _unavailable(url: S3Url, code: str, retry_after: float | None = None) -> DependencyUnavailable:
    return DependencyUnavailable(f"S3 is unavailable for {url}: {code}.", retry_after=retry_after)
