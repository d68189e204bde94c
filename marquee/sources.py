"""Sources of pictures: paths, bytes, and objects in S3."""

import os
from os import PathLike, fspath
from typing import TypeAlias

from marquee.errors import ImageTooLarge, InvalidImage, InvalidRequest
from marquee.v1 import recognizer_pb2 as pb

MAX_IMAGE_BYTES = 15 * 1024 * 1024

Source: TypeAlias = str | PathLike[str] | bytes | bytearray | memoryview
"""A file's path, its bytes, or "s3://bucket/key", "s3://bucket/key?versionId=…"."""


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
