"""Sources of pictures: paths, bytes, and objects in S3."""

import os
import stat
from os import PathLike, fspath
from threading import Lock
from typing import TypeAlias
from weakref import ref

from marquee.errors import ImageTooLarge, InvalidImage, InvalidRequest
from marquee.v1 import recognizer_pb2 as pb

MAX_IMAGE_BYTES = 15 * 1024 * 1024

Source: TypeAlias = str | PathLike[str] | bytes | bytearray | memoryview
"""A file's path, its bytes, or "s3://bucket/key", "s3://bucket/key?versionId=…"."""


_KEPT_PICTURES, _KEPT_BYTES = 64, 64 * 1024 * 1024
"""Of pictures given as bytes to which answers refer; those of earlier answers are let go."""


class Picture:
    """The picture of an answer, as far as it can still be had: a file as it is when this is made, before it is sent."""

    __slots__ = ("__weakref__", "_source", "_version")

    def __init__(self, source: Source) -> None:
        self._source: str | bytes | None
        self._version: tuple[int, int] | None = None
        if isinstance(source, bytes | bytearray | memoryview):
            self._source = bytes(source)  # a copy only of a buffer, which its owner may fill again
            _keep(self)
        elif is_s3(source):
            self._source = fspath(source)
        else:
            self._source = path = os.path.abspath(source)  # noqa: PTH100 - Path's takes three times as long
            self._version = _version(path)

    @property
    def source(self) -> str | bytes | None:
        """Where the picture is: an absolute path, s3://…, or its bytes; None once these were let go for newer ones."""
        return self._source

    def read(self) -> bytes:
        """Return the picture's bytes. Raises InvalidImage if they are gone or in S3, OSError."""
        if isinstance(self._source, bytes):
            return self._source
        if self._source is None or is_s3(self._source):
            where = "was let go for newer ones" if self._source is None else "is in S3, where only the servers read it"
            raise _missing(f"The picture {where}")
        if self._version is None or _version(self._source) != self._version:
            raise _missing(f"{self._source} is no longer the picture that was recognized")
        return read_file(self._source)

    @property
    def size(self) -> int:
        """Bytes that it keeps in memory."""
        return len(self._source) if isinstance(self._source, bytes) else 0

    def let_go(self) -> None:
        """Keep nothing in memory any more."""
        self._source = None


_kept: list[ref[Picture]] = []
_lock = Lock()


def image_of(source: Source) -> pb.Image:
    """Return the picture as a message. Raises InvalidRequest, InvalidImage, ImageTooLarge, OSError."""
    if isinstance(source, bytes | bytearray | memoryview):
        return pb.Image(content=check_size(bytes(source), "The picture"))
    if is_s3(source):
        return pb.Image(s3_object=s3_object_of(fspath(source)))
    return pb.Image(content=read_file(source))


def is_s3(source: Source) -> bool:
    """Return whether the source is an S3 object, which the servers fetch themselves."""
    return isinstance(source, str) and source.startswith("s3://")


def read_file(path: str | PathLike[str]) -> bytes:
    """Read a file of 1 byte to 15 MiB, never more than that. Raises ImageTooLarge, InvalidImage, OSError."""
    with open(path, "rb", opener=_open) as file:
        return check_size(file.read(MAX_IMAGE_BYTES + 1), fspath(path))


def check_size(content: bytes, name: str) -> bytes:
    """Return the content. Raises InvalidImage, ImageTooLarge with the name in their message."""
    if not content:
        raise InvalidImage(f"{name} is empty.", code="INVALID_ARGUMENT", reason="IMAGE_MISSING")
    if len(content) > MAX_IMAGE_BYTES:
        raise ImageTooLarge(
            f"{name} exceeds the limit of 15 MiB: resize it, 2000 pixels are plenty.",
            code="INVALID_ARGUMENT",
            reason="IMAGE_TOO_LARGE",
        )
    return content


def _open(path: str, flags: int) -> int:
    """Open the file. A FIFO into which nobody writes is empty; to wait for its writer could be forever."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(descriptor, True)
    return descriptor


def s3_object_of(url: str) -> pb.S3Object:
    """Parse "s3://bucket/key" with or without "?versionId=…". Raises InvalidRequest.

    The key is taken literally, not URL-decoded, so it may contain any character.
    """
    path, _, version = url.removeprefix("s3://").partition("?versionId=")
    bucket, _, key = path.partition("/")
    if not bucket or not key:
        raise InvalidRequest(
            f"{url} needs a bucket and a key: s3://BUCKET/KEY.",
            code="INVALID_ARGUMENT",
            reason="INVALID_REQUEST",
            metadata={"field": "image.s3_object"},
        )
    return pb.S3Object(bucket=bucket, key=key, version_id=version)


def _keep(picture: Picture) -> None:
    """Keep the picture; let go the oldest of those whose answers are still there."""
    with _lock:
        pictures = [one for one in (reference() for reference in _kept) if one is not None] + [picture]
        while len(pictures) > _KEPT_PICTURES or sum(one.size for one in pictures) > _KEPT_BYTES:
            pictures.pop(0).let_go()
        _kept[:] = map(ref, pictures)


def _version(path: str | PathLike[str]) -> tuple[int, int] | None:
    """Return what changes with a file; None for what can be read only once, or not at all."""
    try:
        status = os.stat(path)  # noqa: PTH116 - likewise
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


def _missing(what: str) -> InvalidImage:
    return InvalidImage(f'{what}: give it, as in draw("photo.jpg").', code="INVALID_ARGUMENT", reason="IMAGE_MISSING")
