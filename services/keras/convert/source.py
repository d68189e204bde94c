"""Models to convert, on disk or in S3."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from services.keras.convert.model_file import ModelProblem
from services.runtime.errors import DomainError
from services.runtime.storage.s3 import S3, S3Url, is_s3

ASSETS_SUFFIX = ".marquee.json"
"""Suffix of the file beside a model that holds its labels: MODEL.marquee.json for MODEL.keras."""


@contextmanager
def local_copy(source: str, endpoint_url: str | None) -> Iterator[Path]:
    """Yield the path of the file or folder, or of a temporary copy of s3://BUCKET/KEY with its assets beside it.

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
    stem = model.key.removesuffix(path.suffix)  # a path would lose the slashes of a//model.h5
    beside = f"{stem}{ASSETS_SUFFIX}"

    def is_part(key: str, _: int) -> bool:
        return key in {model.key, beside} or key.startswith(f"{model.key}/")

    s3.download_all(S3Url(model.bucket, stem), folder, is_part)
    if not (folder / path.name).exists():
        raise ModelProblem(f"{model} does not exist.")
    return folder / path.name
