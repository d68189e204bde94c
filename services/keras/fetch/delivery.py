"""Delivery of a version to where TensorFlow Serving looks for it: whole and checked, or not at all."""

import shutil
from pathlib import Path

import structlog
from pydantic import ValidationError

from services.keras.fetch import manifest as manifests
from services.keras.fetch.bucket import PublishedModel
from services.keras.fetch.manifest import Manifest

_HIDDEN = ".fetching-"
"""Prefix of folder names that TensorFlow Serving, which takes only numbers, ignores."""
logger = structlog.get_logger()


class DeliveryProblem(Exception):
    """No model was delivered; the text says why and what to do."""


class Delivery:
    """Delivery of a model to FOLDER/<version>/. Only one may work on a folder at a time."""

    def __init__(self, model: PublishedModel, folder: Path, keep: int) -> None:
        self._model = model
        self._folder = folder
        self._keep = keep
        self._verified: set[int] = set()

    def deliver(self) -> int:
        """Make the newest published version the folder's newest; return its number.

        Remove older versions until `keep` remain, and newer ones that are no longer published: that is how a
        version is withdrawn. Raises DeliveryProblem, BucketProblem or OSError; TensorFlow Serving then sees what it
        saw before. Blocks.
        """
        version, manifest = self._model.newest()
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self._has(version, manifest):
            self._fetch(version, manifest)
        self._verified.add(version)
        self._prune(version)
        return version

    def _has(self, version: int, manifest: Manifest) -> bool:
        folder = self._folder / str(version)
        local = _local_manifest(folder)
        damaged = local is None or (version not in self._verified and any(manifests.differences(folder, local)))
        if not damaged and local != manifest:
            raise DeliveryProblem(
                f"Version {version} was published again after it was fetched. TensorFlow Serving loads a number only "
                "once: publish the model under a higher one."
            )
        return not damaged

    def _fetch(self, version: int, manifest: Manifest) -> None:
        for leftover in self._folder.glob(f"{_HIDDEN}*"):
            shutil.rmtree(leftover)
        partial = self._folder / f"{_HIDDEN}{version}"
        try:
            self._download(version, manifest, partial)
            self._remove(version)
            partial.rename(self._folder / str(version))
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        logger.info("fetched a model", version=version, files=len(manifest.files), folder=str(self._folder))

    def _download(self, version: int, manifest: Manifest, folder: Path) -> None:
        for name in manifest.files:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            self._model.download(version, name, path)
        if differences := list(manifests.differences(folder, manifest)):
            raise DeliveryProblem(
                f"Version {version} did not arrive as published: {'; '.join(differences)}. "
                f"Publish it again under a new number, its {manifests.FILE} last."
            )
        manifests.write(manifest, folder)

    def _prune(self, newest: int) -> None:
        versions = [int(path.name) for path in self._folder.iterdir() if path.name.isdecimal()]
        kept = sorted((version for version in versions if version <= newest), reverse=True)[: self._keep]
        for version in set(versions) - set(kept):
            self._remove(version)
            logger.info("removed a model", version=version, folder=str(self._folder))

    def _remove(self, version: int) -> None:
        """Remove a version in one step, as TensorFlow Serving sees it."""
        folder, hidden = self._folder / str(version), self._folder / f"{_HIDDEN}removed-{version}"
        self._verified.discard(version)
        if folder.exists():
            folder.rename(hidden)
            shutil.rmtree(hidden)


def _local_manifest(folder: Path) -> Manifest | None:
    try:
        return Manifest.model_validate_json((folder / manifests.FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
