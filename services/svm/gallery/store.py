"""The file that holds the gallery, on a disk or in S3, changed only by those who saw what they change."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from services.runtime.errors import DependencyUnavailable, Misconfigured
from services.svm.model_files import place_of, s3

_MISSING = {"NoSuchKey", "404"}
_CHANGED = {"PreconditionFailed", "ConditionalRequestConflict"}


class Changed(Exception):
    """Somebody else wrote the file in the meantime."""


class GalleryStore(Protocol):
    """A file of which each state has a mark. Methods block; they raise Misconfigured and DependencyUnavailable."""

    def mark(self) -> str:
        """The mark of the file as it is now; empty where there is none."""

    def read(self) -> tuple[bytes, str]:
        """The file's bytes, none where there is no file, and their mark."""

    def write(self, data: bytes, seen: str) -> str:
        """Replaces the file, whole or not at all; returns the new mark. Raises Changed unless its mark is `seen`."""


def store_at(url: str, endpoint_url: str | None = None) -> GalleryStore:
    """The file at PATH, file:///PATH or s3://BUCKET/KEY."""
    place = place_of(url)
    return DiskStore(place) if isinstance(place, Path) else S3Store(*place, endpoint_url)


class DiskStore:
    """A file of this machine, or of a file system that several share and that keeps locks, as EFS does."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def mark(self) -> str:
        """Its time, size and number."""
        with self._explained():
            return _mark(self._path.stat()) if self._path.exists() else ""

    def read(self) -> tuple[bytes, str]:
        """Reads it."""
        with self._explained():
            if not self._path.exists():
                return b"", ""
            with self._path.open("rb") as file:
                return file.read(), _mark(os.fstat(file.fileno()))

    def write(self, data: bytes, seen: str) -> str:
        """Replaces it while nobody else may."""
        with self._explained():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.with_name(f"{self._path.name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if self.mark() != seen:
                    raise Changed
                self._replace(data)
                return self.mark()

    def _replace(self, data: bytes) -> None:
        fresh = self._path.with_name(f"{self._path.name}.new")
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise _misconfigured(str(self._path), str(exc.strerror)) from exc


class S3Store:
    """An object, written with If-Match."""

    def __init__(self, bucket: str, key: str, endpoint_url: str | None) -> None:
        self._bucket, self._key = bucket, key
        self._endpoint_url = endpoint_url

    def mark(self) -> str:
        """Its ETag."""
        try:
            return str(self._call("head_object")["ETag"])
        except _Missing:
            return ""

    def read(self) -> tuple[bytes, str]:
        """Reads it."""
        try:
            answer = self._call("get_object")
        except _Missing:
            return b"", ""
        with self._explained(), closing(answer["Body"]) as body:
            return bytes(body.read()), str(answer["ETag"])

    def write(self, data: bytes, seen: str) -> str:
        """Writes it if nobody else did since."""
        condition = {"IfMatch": seen} if seen else {"IfNoneMatch": "*"}
        try:
            return str(self._call("put_object", Body=data, **condition)["ETag"])
        except _Missing:
            raise Changed from None

    def _call(self, operation: str, **arguments: Any) -> Any:
        with self._explained():
            return getattr(s3(self._endpoint_url), operation)(Bucket=self._bucket, Key=self._key, **arguments)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as late as boto3

        try:
            yield
        except ClientError as exc:
            raise self._explain(exc.response["Error"].get("Code", "")) from exc
        except BotoCoreError as exc:
            raise DependencyUnavailable(f"S3 cannot be used: {type(exc).__name__}.") from exc

    def _explain(self, code: str) -> Exception:
        if code in _CHANGED:
            return Changed()
        if code in _MISSING:
            return _Missing()
        return _misconfigured(f"s3://{self._bucket}/{self._key}", f"S3 says {code}")


class _Missing(Exception):
    """There is no such object."""


def _misconfigured(where: str, why: str) -> Misconfigured:
    return Misconfigured(f"The gallery {where} cannot be used: {why}. MARQUEE_SVM_GALLERY names it.")


def _mark(told: os.stat_result) -> str:
    return f"{told.st_mtime_ns}-{told.st_size}-{told.st_ino}"
