"""Objects of S3 as files of a folder."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from services.runtime.storage.s3 import s3_client


class DownloadProblem(Exception):
    """S3 does not give what was asked for; the text says why."""


def download(
    bucket: str, prefix: str, folder: Path, endpoint_url: str | None, wanted: Callable[[str, int], bool]
) -> None:
    """Copies the objects whose keys begin with `prefix` and whose key and size are `wanted`.

    A file's path in the folder is what follows the prefix's last slash in the key: of people/ and of people/a,
    people/anna/1.jpg becomes anna/1.jpg. Keys that end with a slash stand for folders and are no files.
    Raises DownloadProblem. Blocks.
    """
    client = s3_client(endpoint_url)
    with _explained():
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                key = item["Key"]
                if not key.endswith("/") and wanted(key, item["Size"]):
                    client.download_file(bucket, key, str(_made(folder, key, prefix)))


def _made(folder: Path, key: str, prefix: str) -> Path:
    path = folder / PurePosixPath(key).relative_to(prefix.rpartition("/")[0])
    if ".." in path.parts:
        raise DownloadProblem(f"the key {key!r} leads out of its folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def _explained() -> Iterator[None]:
    from boto3.exceptions import Boto3Error  # noqa: PLC0415 - as late as boto3
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as exc:
        raise DownloadProblem(str(exc)) from exc
