"""Training pictures from a folder or from S3."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from services.runtime.errors import DomainError
from services.runtime.limits import MAX_IMAGE_BYTES
from services.runtime.storage.s3 import S3, S3Url, is_s3
from services.svm.train.dataset import TrainingError


@contextmanager
def local_folder(source: str, endpoint_url: str | None) -> Iterator[Path]:
    """The folder, or a copy of s3://BUCKET/PREFIX that lasts as long as the context. Raises TrainingError."""
    if not is_s3(source):
        yield Path(source)
        return
    with TemporaryDirectory() as folder:
        _download(source, Path(folder), endpoint_url)
        yield Path(folder)


def _download(source: str, folder: Path, endpoint_url: str | None) -> None:
    try:
        S3(endpoint_url).download_all(S3Url.parse_folder(source), folder, _no_larger_than_a_picture)
    except DomainError as exc:
        raise TrainingError(f"{source} cannot be read: {exc}") from exc


def _no_larger_than_a_picture(key: str, size: int) -> bool:
    if size > MAX_IMAGE_BYTES:
        raise TrainingError(f"{key} has {size} bytes; at most {MAX_IMAGE_BYTES} are read.")
    return True
