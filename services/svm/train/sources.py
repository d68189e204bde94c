"""Training pictures from a folder or from S3."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from services.runtime.limits import MAX_IMAGE_BYTES
from services.runtime.storage.downloads import DownloadProblem, download
from services.svm.train.dataset import TrainingError


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
    parts = urlsplit(source)
    prefix = parts.path.strip("/")
    try:
        download(parts.netloc, f"{prefix}/" if prefix else "", folder, endpoint_url, _no_larger_than_a_picture)
    except DownloadProblem as exc:
        raise TrainingError(f"{source} cannot be read: {exc}") from exc


def _no_larger_than_a_picture(key: str, size: int) -> bool:
    if size > MAX_IMAGE_BYTES:
        raise TrainingError(f"{key} has {size} bytes; at most {MAX_IMAGE_BYTES} are read.")
    return True
