"""Puts a version of a model where TensorFlow Serving looks for it: whole and checked, or not at all."""

import shutil
from pathlib import Path

import structlog
from pydantic import ValidationError

from services.keras.fetch import manifest as manifests
from services.keras.fetch.bucket import PublishedModel
from services.keras.fetch.manifest import Manifest

_HIDDEN = ".fetching-"
"""What such names begin is no version to TensorFlow Serving, which takes numbers alone."""
logger = structlog.get_logger()


class DeliveryProblem(Exception):
    """No model was delivered; the text says why and what to do."""


class Delivery:
    """Keeps FOLDER/<version>/ as it is published. One at a time may work on a folder."""

    def __init__(self, model: PublishedModel, folder: Path, keep: int) -> None:
        self._model = model
        self._folder = folder
        self._keep = keep
        self._checked: set[int] = set()

    def deliver(self) -> int:
        """Makes the newest published version the folder's newest; returns its number.

        Of older versions so many stay that there are `keep`; newer ones, which are published no longer,
        go: so a version is taken back. Raises DeliveryProblem, BucketProblem and OSError; what TensorFlow
        Serving sees is then as it was. Blocks.
        """
        version, manifest = self._model.newest()
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self._has(version, manifest):
            self._bring(version, manifest)
        self._checked.add(version)
        self._forget(version)
        return version

    def _has(self, version: int, manifest: Manifest) -> bool:
        place = self._folder / str(version)
        own = _stored(place)
        damaged = own is None or (version not in self._checked and any(manifests.differences(place, own)))
        if not damaged and own != manifest:
            raise DeliveryProblem(
                f"Version {version} has been published anew since it was fetched. TensorFlow Serving loads a number "
                "once: publish the model under a higher one."
            )
        return not damaged

    def _bring(self, version: int, manifest: Manifest) -> None:
        for left_over in self._folder.glob(f"{_HIDDEN}*"):
            shutil.rmtree(left_over)
        fresh = self._folder / f"{_HIDDEN}{version}"
        try:
            self._download(version, manifest, fresh)
            self._remove(version)
            fresh.rename(self._folder / str(version))
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        logger.info("fetched a model", version=version, files=len(manifest.files), folder=str(self._folder))

    def _download(self, version: int, manifest: Manifest, fresh: Path) -> None:
        for name in manifest.files:
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            self._model.download(version, name, path)
        if wrong := list(manifests.differences(fresh, manifest)):
            raise DeliveryProblem(
                f"Version {version} does not arrive as it was published: {'; '.join(wrong)}. "
                f"Publish it again under a new number, its {manifests.FILE} last."
            )
        manifests.write(manifest, fresh)

    def _forget(self, newest: int) -> None:
        here = [int(path.name) for path in self._folder.iterdir() if path.name.isdecimal()]
        kept = sorted((version for version in here if version <= newest), reverse=True)[: self._keep]
        for version in set(here) - set(kept):
            self._remove(version)
            logger.info("removed a model", version=version, folder=str(self._folder))

    def _remove(self, version: int) -> None:
        """In one step, as TensorFlow Serving sees it."""
        place, hidden = self._folder / str(version), self._folder / f"{_HIDDEN}removed-{version}"
        self._checked.discard(version)
        if place.exists():
            place.rename(hidden)
            shutil.rmtree(hidden)


def _stored(place: Path) -> Manifest | None:
    try:
        return Manifest.model_validate_json((place / manifests.FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
