"""Models to convert, from a disk or from S3."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from services.keras.convert.model_file import ModelProblem
from services.runtime.storage.downloads import DownloadProblem, download

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


def _download(bucket: str, key: str, folder: Path, endpoint_url: str | None) -> Path:
    path = PurePosixPath(key)
    beside = str(path.with_suffix(ASSETS_SUFFIX))

    def wanted(found: str, _: int) -> bool:
        return found in {key, beside} or found.startswith(f"{key}/")

    try:
        download(bucket, str(path.with_suffix("")), folder, endpoint_url, wanted)
    except DownloadProblem as exc:
        raise ModelProblem(f"s3://{bucket}/{key} cannot be read: {exc}") from exc
    if not (folder / path.name).exists():
        raise ModelProblem(f"There is no s3://{bucket}/{key}.")
    return folder / path.name
