"""Training pictures from a folder or from S3."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from services.runtime.limits import MAX_IMAGE_BYTES
from services.svm.training_set import TrainingError


@contextmanager
def local_folder(source: str, endpoint_url: str | None) -> Iterator[Path]:
    """The folder, or a copy of s3://BUCKET/PREFIX that lasts as long as the context. Raises TrainingError."""
    if not source.startswith("s3://"):
        yield Path(source)
        return
    with TemporaryDirectory() as folder:
        _download(source, Path(folder), endpoint_url)
        yield Path(folder)


def _download(source: str, folder: Path, endpoint_url: str | None) -> None:
    import boto3  # noqa: PLC0415 - only those who train out of S3 wait for it
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    parts = urlsplit(source)
    prefix = parts.path.strip("/")
    try:
        bucket = boto3.resource("s3", endpoint_url=endpoint_url).Bucket(parts.netloc)
        for item in bucket.objects.filter(Prefix=f"{prefix}/" if prefix else ""):
            _fetch(item, folder / PurePosixPath(item.key).relative_to(prefix))
    except (BotoCoreError, ClientError) as exc:
        raise TrainingError(f"{source} cannot be read: {exc}") from exc


def _fetch(item: Any, path: Path) -> None:
    if item.key.endswith("/"):
        return
    if ".." in path.parts:
        raise TrainingError(f"The key {item.key!r} leads out of the prefix.")
    if item.size > MAX_IMAGE_BYTES:
        raise TrainingError(f"{item.key} has {item.size} bytes; at most {MAX_IMAGE_BYTES} are read.")
    path.parent.mkdir(parents=True, exist_ok=True)
    item.Object().download_file(str(path))
