"""Published models in S3: s3://BUCKET/PREFIX/<version>/, each with its manifest."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from services.keras.assets import explain
from services.keras.fetch.manifest import FILE, Manifest
from services.runtime.errors import DomainError, ObjectNotFound
from services.runtime.storage.s3 import S3, S3Url


class BucketProblem(Exception):
    """The model cannot be read from S3; the text says why and what to do."""


class PublishedModel:
    """The versions of one model. Methods block and raise BucketProblem."""

    def __init__(self, url: str, endpoint_url: str | None = None) -> None:
        try:
            S3Url.parse(url.rstrip("/"))  # a model needs a folder, not the whole bucket
            self._folder = S3Url.parse_folder(url)
        except DomainError:
            raise BucketProblem(f"{url!r} is not of the form s3://BUCKET/PREFIX.") from None
        self.url = str(self._folder).rstrip("/")
        retries = {"total_max_attempts": 5, "mode": "standard"}
        self._s3 = S3(endpoint_url, connect_timeout=5, read_timeout=30, retries=retries)

    def newest(self) -> tuple[int, Manifest]:
        """Return the highest version with its manifest; a version without one is still being published."""
        for version in sorted(self._versions(), reverse=True):
            if manifest := self._manifest(version):
                return version, manifest
        raise BucketProblem(
            f"{self.url} holds no <version>/{FILE} with a number as version. "
            f"Publish what services.keras.convert wrote, {FILE} last."
        )

    def download(self, version: int, name: str, path: Path) -> None:
        """Write one file of a version to the path."""
        with self._translate_errors(f"{version}/{name}"):
            self._s3.download(self._folder.child(f"{version}/{name}"), path)

    def _versions(self) -> Iterator[int]:
        with self._translate_errors(""):
            names = self._s3.folders(self._folder)
        return (int(name) for name in names if name.isdecimal() and name == str(int(name)))

    def _manifest(self, version: int) -> Manifest | None:
        with self._translate_errors(f"{version}/{FILE}"):
            try:
                content, _ = self._s3.read(self._folder.child(f"{version}/{FILE}"))
            except ObjectNotFound:
                return None
        try:
            return Manifest.model_validate_json(content)
        except ValidationError as exc:
            raise BucketProblem(f"{self.url}/{version}/{FILE}: {explain(exc)}") from exc

    @contextmanager
    def _translate_errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except DomainError as exc:
            raise BucketProblem(f"{self.url}/{name} cannot be read: {exc}") from exc
