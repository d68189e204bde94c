"""Models from a path or from S3."""

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from services.runtime.errors import Misconfigured

MOST_BYTES = 512 * 1024 * 1024


def read(source: str, endpoint_url: str | None = None) -> bytes:
    """The file's bytes; `source` is a path, file:///PATH or s3://BUCKET/KEY. Raises Misconfigured."""
    bucket, key = split(source)
    try:
        if not bucket:
            return Path(key).read_bytes()
        with s3(endpoint_url).get_object(Bucket=bucket, Key=key)["Body"] as body:
            return bytes(body.read(MOST_BYTES))
    except Exception as exc:
        raise _explained(source, exc) from exc


def mark(source: str, endpoint_url: str | None = None) -> str:
    """Something short that changes when the file does: time and size, or the ETag. Raises Misconfigured."""
    bucket, key = split(source)
    try:
        if not bucket:
            told = Path(key).stat()
            return f"{told.st_mtime_ns}-{told.st_size}-{told.st_ino}"
        return str(s3(endpoint_url).head_object(Bucket=bucket, Key=key)["ETag"])
    except Exception as exc:
        raise _explained(source, exc) from exc


def split(source: str) -> tuple[str, str]:
    """Bucket and key, or "" and a path."""
    parts = urlsplit(source)
    if parts.scheme == "s3":
        return parts.netloc, parts.path.lstrip("/")
    return "", parts.path if parts.scheme == "file" else source


@cache
def s3(endpoint_url: str | None) -> Any:
    """A client with the standard credential chain."""
    import boto3  # noqa: PLC0415 - 0.3 s and 35 MiB that a model on a disk does not pay
    from botocore.config import Config  # noqa: PLC0415

    config = Config(connect_timeout=3, s3={"addressing_style": "path"} if endpoint_url else {})
    return boto3.client("s3", endpoint_url=endpoint_url, config=config)


def _explained(source: str, exc: Exception) -> Exception:
    """Misconfigured for what disks and S3 say; anything else as it is."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as late as boto3

    if not isinstance(exc, OSError | BotoCoreError | ClientError):
        return exc
    why = getattr(exc, "strerror", None) or exc
    return Misconfigured(
        f"The model {source} cannot be read: {why}. "
        f"Make one with `python -m services.svm.train DIR --out {source}` or set MARQUEE_SVM_MODEL."
    )
