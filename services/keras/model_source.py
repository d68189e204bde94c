"""Models to convert, from a disk or from S3."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from services.keras.model_file import ModelProblem

ASSETS_SUFFIX = ".marquee.json"
"""MODEL.marquee.json beside MODEL.keras says what its labels are."""


@contextmanager
def local_copy(source: str, endpoint_url: str | None) -> Iterator[Path]:
    """The file or folder, or a copy of s3://BUCKET/KEY that lasts as long as the context, its assets beside it.

    Raises ModelProblem. Blocks.
    """
    parts = urlsplit(source)
    if parts.scheme != "s3":
        yield Path(source)
        return
    with TemporaryDirectory() as folder:
        yield _download(parts.netloc, parts.path.strip("/"), Path(folder), endpoint_url)


def _download(name: str, key: str, folder: Path, endpoint_url: str | None) -> Path:
    import boto3  # noqa: PLC0415 - a model on a disk does not wait for it
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    path = PurePosixPath(key)
    try:
        items = list(_items(boto3.resource("s3", endpoint_url=endpoint_url).Bucket(name), key))
        for item in items:
            _fetch(item, folder / PurePosixPath(item.key).relative_to(path.parent))
    except (BotoCoreError, ClientError) as exc:
        raise ModelProblem(f"s3://{name}/{key} cannot be read: {exc}") from exc
    if not (folder / path.name).exists():
        raise ModelProblem(f"There is no s3://{name}/{key}.")
    return folder / path.name


def _items(bucket: Any, key: str) -> Iterator[Any]:
    """The object, all below it where it is a folder, and its assets."""
    beside = str(PurePosixPath(key).with_suffix(ASSETS_SUFFIX))
    for item in bucket.objects.filter(Prefix=str(PurePosixPath(key).with_suffix(""))):
        if item.key in {key, beside} or (item.key.startswith(f"{key}/") and not item.key.endswith("/")):
            yield item


def _fetch(item: Any, path: Path) -> None:
    if ".." in path.parts:
        raise ModelProblem(f"The key {item.key!r} leads out of its folder.")
    path.parent.mkdir(parents=True, exist_ok=True)
    item.Object().download_file(str(path))
