"""Atomic writes of local files, and files at a path or URL that several servers share."""

import fcntl
import os
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from services.runtime.errors import InvalidRequest, Misconfigured, ObjectNotFound
from services.runtime.storage.s3 import S3, Changed, S3Url, is_s3


def write(path: Path, content: bytes | str) -> None:
    """Replace the file atomically, creating its folder if needed. Text is written as UTF-8.

    Readers, even after a crash, see either the old content or the new. Raises OSError. Blocks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name[:200]}.{uuid.uuid4().hex}.partial")
    try:
        with partial.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class File(ABC):
    """A file that the operator has configured by path, file:///PATH or s3://BUCKET/KEY.

    Each state of the file has a mark. Methods block; they raise DependencyUnavailable for transient errors and
    Misconfigured, with the hint, for all others.
    """

    def __init__(self, url: str, name: str, hint: str, max_bytes: int | None) -> None:
        self._name = f"The {name} {url}"
        self._hint = hint
        self._max_bytes = max_bytes

    def mark(self) -> str:
        """Return the file's current mark, empty if there is no file."""
        with self._explained():
            return self._mark()

    def read(self) -> tuple[bytes, str]:
        """Return the file's bytes and their mark, both empty if there is no file."""
        with self._explained():
            return self._read()

    def write(self, content: bytes, mark: str) -> str:
        """Replace the file atomically and return the new mark. Raises Changed unless `mark` is its current mark."""
        with self._explained():
            return self._write(content, mark)

    def missing(self) -> Misconfigured:
        """Return the error for callers that need the file to exist."""
        return self._error("there is no such file")

    @abstractmethod
    def _mark(self) -> str: ...

    @abstractmethod
    def _read(self) -> tuple[bytes, str]: ...

    @abstractmethod
    def _write(self, content: bytes, mark: str) -> str: ...

    def _check_length(self, length: int) -> None:
        if self._max_bytes is not None and length > self._max_bytes:
            raise OSError(f"it has {length} bytes; the limit is {self._max_bytes}")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise self._error(exc.strerror or str(exc)) from exc
        except (InvalidRequest, Misconfigured) as exc:
            raise self._error(exc.message.rstrip(".")) from exc

    def _error(self, why: str) -> Misconfigured:
        return Misconfigured(f"{self._name} cannot be used: {why}. {self._hint}")


def file_at(url: str, endpoint_url: str | None = None, *, name: str, hint: str, max_bytes: int | None = None) -> File:
    """Return the file at a path, file:///PATH or s3://BUCKET/KEY.

    Errors contain its `name`, such as "model", and end with the hint. A file larger than `max_bytes` is not read.
    """
    if is_s3(url):
        return _Object(url, endpoint_url, name, hint, max_bytes)
    path = unquote(url.removeprefix("file://")) if url.startswith("file://") else url
    return _DiskFile(Path(path), name, hint, max_bytes)


class _DiskFile(File):
    """A file on this machine, or on a shared file system that supports locks, such as EFS."""

    def __init__(self, path: Path, name: str, hint: str, max_bytes: int | None) -> None:
        super().__init__(str(path), name, hint, max_bytes)
        self._path = path

    def _mark(self) -> str:
        try:
            return _mark_of(self._path.stat())
        except (FileNotFoundError, NotADirectoryError):
            return ""

    def _read(self) -> tuple[bytes, str]:
        try:
            with self._path.open("rb") as file:
                stat = os.fstat(file.fileno())
                self._check_length(stat.st_size)
                return file.read(), _mark_of(stat)
        except (FileNotFoundError, NotADirectoryError):
            return b"", ""

    def _write(self, content: bytes, mark: str) -> str:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_name(f"{self._path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._mark() != mark:
                raise Changed
            write(self._path, content)
            return self._mark()


class _Object(File):
    """An object in S3, written with If-Match."""

    def __init__(self, url: str, endpoint_url: str | None, name: str, hint: str, max_bytes: int | None) -> None:
        super().__init__(url, name, hint, max_bytes)
        self._text = url
        self._endpoint_url = endpoint_url

    def _mark(self) -> str:
        try:
            return self._s3.etag(self._url)
        except ObjectNotFound:
            return ""

    def _read(self) -> tuple[bytes, str]:
        try:
            return self._s3.read(self._url, self._check_length)
        except ObjectNotFound:
            return b"", ""

    def _write(self, content: bytes, mark: str) -> str:
        return self._s3.write(self._url, content, mark)

    @property
    def _url(self) -> S3Url:
        return S3Url.parse(self._text)

    @property
    def _s3(self) -> S3:
        return _shared_s3(self._endpoint_url)


@cache
def _shared_s3(endpoint_url: str | None) -> S3:
    return S3(endpoint_url, connect_timeout=3, read_timeout=10)


def _mark_of(stat: os.stat_result) -> str:
    return f"{stat.st_mtime_ns}-{stat.st_size}-{stat.st_ino}"
