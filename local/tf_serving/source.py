"""Loading and unloading of versions as the config names them, and as they come and go below the models' base paths.

Rules in TensorFlow Serving: model_servers/server_core.cc (which configs are accepted),
sources/storage_path/file_system_storage_path_source.cc (which versions are served) and
core/availability_preserving_policy.cc (a version goes only when another is available).
"""

import logging
import re
from collections.abc import Collection, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

from local.tf_serving.errors import invalid
from local.tf_serving.messages.config_pb2 import ModelConfig, ModelServerConfig
from local.tf_serving.models.model import Model
from local.tf_serving.servables import Servables, State, Version

ONNX = "model.onnx"
SAVED_MODEL = "saved_model.pb"
_PLATFORM = "tensorflow"
_ABSOLUTE = re.compile(r"/|[a-zA-Z][0-9a-zA-Z.]*://")
logger = logging.getLogger(__name__)


class Source:
    """The models of a ModelServerConfig."""

    def __init__(self, config: ModelServerConfig, servables: Servables, threads: int) -> None:
        self._config = config
        self._models = list(config.model_config_list.config)
        self._servables = servables
        self._threads = threads
        self._lock = Lock()

    def accept(self, config: ModelServerConfig, *, allow_unavailable: bool) -> set[str]:
        """Take over a config, whose models the next `poll` loads; return the names of those that are new.

        Models that are in it no more are unloaded. As in `ServerCore::ReloadConfig` (server_core.cc:476-547) labels
        are assigned before anything is loaded, so that at the start no version is available for one. Raises Refusal.
        """
        if not config.HasField("model_config_list"):
            logger.info("Taking no action for empty config.")
            return set()
        models = list(config.model_config_list.config)
        with self._lock:
            _check_models(models)
            _check_platforms_stay(self._config.model_config_list.config, models)
            self._config = config
            self.label(allow_unavailable=allow_unavailable)
            _check_platforms(models)
            new = {model.name for model in models} - {model.name for model in self._models}
            for name in {model.name for model in self._models} - {model.name for model in models}:
                self._end(name, set(self._servables.available(name)))
            self._models = models
        return new

    @property
    def is_complete(self) -> bool:
        """Whether each model has an available version."""
        return all(self._servables.available(model.name) for model in self._models)

    def poll(self) -> None:
        """Load new versions, unload removed ones. Blocks.

        Raises OSError if a base path does not exist. A version that cannot be loaded says so in its status.
        """
        with self._lock:
            for model in self._models:
                self._update(model.name, configured_versions(model))

    def label(self, *, allow_unavailable: bool) -> None:
        """Assign the configured labels. Raises Refusal."""
        labels = {model.name: model.version_labels for model in self._config.model_config_list.config}
        self._servables.label(labels, allow_unavailable=allow_unavailable)

    def problems(self) -> list[str]:
        """Return why versions could not be loaded."""
        versions = [version for model in self._models for version in self._servables.versions(model.name).values()]
        return [version.problem for version in versions if version.problem]

    def _update(self, name: str, folders: dict[int, Path]) -> None:
        versions = self._servables.versions(name)
        for number, folder in folders.items():
            if number not in versions or (versions[number].state == State.END and not versions[number].problem):
                self._load(name, number, folder)
        available = self._servables.available(name)
        if not folders or available.keys() & folders.keys():
            self._end(name, available.keys() - folders.keys())

    def _end(self, name: str, numbers: Collection[int]) -> None:
        for number in numbers:
            self._servables.end(name, number)
            logger.info("unloaded version %d of %s", number, name)

    def _load(self, name: str, number: int, folder: Path) -> None:
        self._servables.set(name, number, Version(State.LOADING))
        try:
            model = load(folder, self._threads)
        except OSError as exc:
            logger.error("version %d of %s: %s", number, name, exc)  # noqa: TRY400 - the text says it all
            self._servables.set(name, number, Version(State.END, problem=str(exc)))
            return
        self._servables.set(name, number, Version(State.AVAILABLE, model))
        logger.info("serving version %d of %s", number, name)


def _check_models(models: Sequence[ModelConfig]) -> None:
    """Raise Refusal as `ValidateModelConfigList` does (server_core.cc:117-153)."""
    names: set[str] = set()
    for model in models:
        if model.name in names:
            raise invalid(f"Illegal to list model {model.name} multiple times in config list")
        names.add(model.name)
    for model in models:
        if not _ABSOLUTE.match(model.base_path):
            raise invalid(
                f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}"
            )


def _check_platforms_stay(before: Iterable[ModelConfig], after: Iterable[ModelConfig]) -> None:
    """Raise Refusal as `ValidateNoModelsChangePlatforms` does (server_core.cc:157-182)."""
    platforms = {model.name: model.model_platform for model in before}
    for model in after:
        old = platforms.get(model.name)
        if old and _platform(model) != old:
            raise invalid(
                f"Illegal to change a model's platform. For model {model.name} platform was {old} and new platform "
                f"requested is {model.model_platform}"
            )


def _check_platforms(models: Iterable[ModelConfig]) -> None:
    """Raise Refusal as `CreateStoragePathRoutes` does (server_core.cc:655-671)."""
    for model in models:
        if _platform(model) != _PLATFORM:
            raise invalid(f"Model {model.name} requests unsupported platform {model.model_platform}")


def _platform(model: ModelConfig) -> str:
    """Return the platform, as `GetPlatform` does (server_core.cc:78-106). Raises Refusal."""
    if not model.model_platform:
        raise invalid(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform, "
            f"model name is {model.name}"
        )
    return model.model_platform


def configured_versions(model: ModelConfig) -> dict[int, Path]:
    """Return the folders of the versions that the policy selects, by number, newest first.

    Raises FileNotFoundError if the base path does not exist, worded as in `PollFileSystemForServable`.
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


def load(folder: Path, threads: int) -> Model:
    """Load a version: its SavedModel if TensorFlow is installed, else an ONNX copy. Raises OSError. Blocks."""
    is_saved_model = (folder / SAVED_MODEL).exists()
    if is_saved_model and find_spec("tensorflow.python"):
        from local.tf_serving.models.saved_model import SavedModel  # noqa: PLC0415 - TensorFlow takes seconds

        return SavedModel(folder, threads)
    if (folder / ONNX).exists():
        from local.tf_serving.models.onnx import OnnxModel  # noqa: PLC0415 - onnxruntime may be missing

        return OnnxModel(folder / ONNX, threads)
    reason = (
        f"it needs TensorFlow, or a copy in {ONNX}" if is_saved_model else f"it has neither {SAVED_MODEL} nor {ONNX}"
    )
    raise FileNotFoundError(f"{folder} cannot be served: {reason}")
