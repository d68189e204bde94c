"""Where a picture comes from: a path, bytes, or an object in S3."""

from os import PathLike, fspath
from pathlib import Path
from typing import TypeAlias

from marquee.errors import ImageTooLarge, InvalidImage, InvalidRequest
from marquee.v1 import recognizer_pb2 as pb

MAX_IMAGE_BYTES = 15 * 1024 * 1024

Source: TypeAlias = str | PathLike[str] | bytes | bytearray | memoryview
"""A file's path, its bytes, or "s3://bucket/key", "s3://bucket/key?versionId=…"."""


def image_of(source: Source) -> pb.Image:
    """The picture as the contract has it. Raises InvalidRequest, ImageTooLarge, OSError."""
    if isinstance(source, bytes | bytearray | memoryview):
        return pb.Image(content=_checked(bytes(source), "The picture"))
    if is_s3(source):
        return pb.Image(s3_object=_s3_object(fspath(source)))
    return pb.Image(content=read_file(source))


def is_s3(source: Source) -> bool:
    """Whether the source is an object that the servers fetch themselves."""
    return isinstance(source, str) and source.startswith("s3://")


def read_file(path: str | PathLike[str]) -> bytes:
    """A file of 1 byte to 15 MiB; never reads more than that. Raises ImageTooLarge, InvalidImage, OSError."""
    with Path(path).open("rb") as file:
        return _checked(file.read(MAX_IMAGE_BYTES + 1), fspath(path))


def _checked(content: bytes, name: str) -> bytes:
    if not content:
        raise InvalidImage(f"{name} has 0 bytes.", code="INVALID_ARGUMENT", reason="IMAGE_MISSING")
    if len(content) > MAX_IMAGE_BYTES:
        raise ImageTooLarge(
            f"{name} has more than 15 MiB, the most that is accepted: make it smaller, 2000 pixels are plenty.",
            code="INVALID_ARGUMENT",
            reason="IMAGE_TOO_LARGE",
        )
    return content


def _s3_object(url: str) -> pb.S3Object:
    """The key is taken as it stands, not URL-decoded, so it may hold any character."""
    path, _, version = url.removeprefix("s3://").partition("?versionId=")
    bucket, _, key = path.partition("/")
    if not bucket or not key:
        raise InvalidRequest(
            f"{url} lacks a bucket or a key; an object is written s3://BUCKET/KEY.",
            code="INVALID_ARGUMENT",
            reason="INVALID_REQUEST",
            metadata={"field": "image.s3_object"},
        )
    return pb.S3Object(bucket=bucket, key=key, version_id=version)
