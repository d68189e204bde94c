"""Models from a path or from S3."""

from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from services.runtime.errors import Misconfigured
from services.runtime.storage.s3 import s3_client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MOST_BYTES = 512 * 1024 * 1024


def read(source: str, endpoint_url: str | None = None) -> bytes:
    """The file's bytes; `source` is a path, file:///PATH or s3://BUCKET/KEY. Raises Misconfigured."""
    try:
        place = place_of(source)
        return place.read_bytes() if isinstance(place, Path) else _download(*place, endpoint_url)
    except Exception as exc:
        raise _explained(source, exc) from exc


def mark(source: str, endpoint_url: str | None = None) -> str:
    """Something short that changes when the file does: time and size, or the ETag. Raises Misconfigured."""
    try:
        place = place_of(source)
        if isinstance(place, Path):
            told = place.stat()
            return f"{told.st_mtime_ns}-{told.st_size}-{told.st_ino}"
        bucket, key = place
        return str(s3(endpoint_url).head_object(Bucket=bucket, Key=key)["ETag"])
    except Exception as exc:
        raise _explained(source, exc) from exc


def place_of(source: str) -> Path | tuple[str, str]:
    """A path, or of s3://BUCKET/KEY bucket and key, in which "?" and "#" are letters like others."""
    if source.startswith("s3://"):
        bucket, _, key = source.removeprefix("s3://").partition("/")
        return bucket, key
    return Path(unquote(source.removeprefix("file://")) if source.startswith("file://") else source)


def _download(bucket: str, key: str, endpoint_url: str | None) -> bytes:
    answer = s3(endpoint_url).get_object(Bucket=bucket, Key=key)
    with closing(answer["Body"]) as body:
        if answer["ContentLength"] > MOST_BYTES:
            raise OSError(f"it has {answer['ContentLength']} bytes; at most {MOST_BYTES} are read")
        return bytes(body.read())  # read(amount) would take half an object for the whole


@cache
def s3(endpoint_url: str | None) -> "S3Client":
    """The client for models and galleries."""
    return s3_client(endpoint_url, connect_timeout=3, read_timeout=10)


def _explained(source: str, exc: Exception) -> Exception:
    """Misconfigured for what disks and S3 say; anything else as it is."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as late as boto3

    if not isinstance(exc, OSError | BotoCoreError | ClientError):
        return exc
    why = getattr(exc, "strerror", None) or exc
    return Misconfigured(
        f"The model {source} cannot be read: {why}. "
        "Make one with `python -m services.svm.train DIR --out model.skops` and put it there, or set MARQUEE_SVM_MODEL."
    )
