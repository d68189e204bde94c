"""Keeps what is served equal to what lies below the models' base paths.

Rules: sources/storage_path/file_system_storage_path_source.cc (which versions are wanted) and
core/availability_preserving_policy.cc (a version goes only when another is there) in TensorFlow Serving.
"""

import logging
from pathlib import Path
from typing import Any

from local.tf_serving.models.model import load
from local.tf_serving.servables import Servables, State, Version

logger = logging.getLogger(__name__)


class Source:
    """The models of a ModelServerConfig."""

    def __init__(self, config: Any, servables: Servables, threads: int) -> None:
        self._models = list(config.model_config_list.config)
        self._servables = servables
        self._threads = threads

    @property
    def is_complete(self) -> bool:
        """Whether each model has a version that answers."""
        return all(self._servables.available(model.name) for model in self._models)

    def poll(self) -> None:
        """Loads what is new, unloads what has gone. Blocks.

        Raises OSError for a base path that is not there; one that cannot be loaded shows in its status.
        """
        for model in self._models:
            self._follow(model.name, wanted(model))

    def label(self, *, allow_unavailable: bool) -> None:
        """Names the versions. Raises Refused."""
        for model in self._models:
            self._servables.label(model.name, model.version_labels, allow_unavailable=allow_unavailable)

    def problems(self) -> list[str]:
        """Why versions could not be loaded."""
        versions = [version for model in self._models for version in self._servables.versions(model.name).values()]
        return [version.problem for version in versions if version.problem]

    def _follow(self, name: str, folders: dict[int, Path]) -> None:
        known = self._servables.versions(name)
        for number, folder in folders.items():
            if number not in known or (known[number].state == State.END and not known[number].problem):
                self._load(name, number, folder)
        available = self._servables.available(name)
        if not folders or available.keys() & folders.keys():
            for number in available.keys() - folders.keys():
                self._servables.end(name, number)
                logger.info("unloaded version %d of %s", number, name)

    def _load(self, name: str, number: int, folder: Path) -> None:
        self._servables.set(name, number, Version(State.LOADING))
        try:
            model = load(folder, self._threads)
        except OSError as exc:
            logger.error("version %d of %s: %s", number, name, exc)  # noqa: TRY400 - the text says all
            self._servables.set(name, number, Version(State.END, problem=str(exc)))
            return
        self._servables.set(name, number, Version(State.AVAILABLE, model))
        logger.info("serving version %d of %s", number, name)


def wanted(model: Any) -> dict[int, Path]:
    """The versions that a ModelConfig's policy asks for, newest first, with their folders.

    Raises FileNotFoundError where the base path is not there, worded as `PollFileSystemForServable` words it.
    """
    base, policy = Path(model.base_path), model.model_version_policy
    if not base.is_dir():
        raise FileNotFoundError(f"Could not find base path {base} for servable {model.name}")
    folders = {int(child.name): child for child in base.iterdir() if child.name.isdecimal()}
    newest = dict(sorted(folders.items(), reverse=True))
    if not newest:
        logger.warning("No versions of servable %s found under base path %s.", model.name, base)
    match policy.WhichOneof("policy_choice"):
        case "all":
            return newest
        case "specific":
            return {number: folder for number, folder in newest.items() if number in policy.specific.versions}
        case _:
            return dict(list(newest.items())[: max(policy.latest.num_versions, 1)])
