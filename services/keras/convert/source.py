"""Models to convert, from a disk or from S3."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from services.keras.convert.model_file import ModelProblem
from services.runtime.errors import DomainError
from services.runtime.storage.s3 import S3, S3Url, is_s3

ASSETS_SUFFIX = ".marquee.json"
"""MODEL.marquee.json beside MODEL.keras says what its labels are."""


@contextmanager
def local_copy(source: str, endpoint_url: str | None) -> Iterator[Path]:
    """The file or folder, or a copy of s3://BUCKET/KEY that lasts as long as the context, its assets beside it.

    Raises ModelProblem. Blocks.
    """
    if not is_s3(source):
        yield Path(source)
        return
    with TemporaryDirectory() as folder:
        yield _download(source, Path(folder), S3(endpoint_url))


def _download(source: str, folder: Path, s3: S3) -> Path:
    try:
        return _copy(S3Url.parse(source.rstrip("/")), folder, s3)
    except DomainError as exc:
        raise ModelProblem(f"{source} cannot be read: {exc}") from exc


def _copy(model: S3Url, folder: Path, s3: S3) -> Path:
    path = PurePosixPath(model.key)
    beside = str(path.with_suffix(ASSETS_SUFFIX))

    def wanted(key: str, _: int) -> bool:
        return key in {model.key, beside} or key.startswith(f"{model.key}/")

    s3.download_all(S3Url(model.bucket, str(path.with_suffix(""))), folder, wanted)
    if not (folder / path.name).exists():
        raise ModelProblem(f"There is no {model}.")
    return folder / path.name
