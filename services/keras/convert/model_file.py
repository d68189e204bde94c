"""What a file says about its model, before any of it runs. Needs no TensorFlow."""

import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from services.keras.convert import kind

Maker = Literal["Keras 2", "Keras 3", "TensorFlow"]
_FIRST_VERSION = "1.0"
"""What the first versions of Keras did not write."""
_MAX_TEXT = 500
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_KERAS = ("keras", "tf_keras", "builtins")
_HARMLESS_MODULES = {"__operators__", "image", "linalg", "math", "nn"}
_HARMLESS = {
    *("cast", "clip_by_value", "concat", "convert_to_tensor", "expand_dims", "identity", "pad", "reshape", "reverse"),
    *("shape", "split", "squeeze", "stack", "strided_slice", "transpose"),
}
"""Operations that preprocess_input and the like consist of; io.write_file is an operation too."""


class ModelProblem(Exception):
    """The model cannot be converted; the text says why and what to do."""


@dataclass(frozen=True)
class ModelFile:
    """A file whose model consists of Keras's own parts only, or a SavedModel."""

    path: Path
    maker: Maker
    version: str
    """Keras's version; empty for a SavedModel."""
    config: dict[str, Any]
    """The architecture as Keras writes it; empty for a SavedModel, which holds a graph and no Python."""


@contextmanager
def step(name: str) -> Iterator[None]:
    """Raise ModelProblem, which names the step, for whatever goes wrong in it: libraries raise anything."""
    try:
        yield
    except ModelProblem:
        raise
    except ModuleNotFoundError as exc:
        raise ModelProblem(f"{name} needs {exc.name}, which is not installed: install the extra `train`.") from exc
    except Exception as exc:
        raise ModelProblem(f"{name} failed ({type(exc).__name__}): {brief(exc)}") from exc


def brief(exc: Exception) -> str:
    """Return the error's text, on one line, cut, and without a terminal's colours, which Keras puts in."""
    return " ".join(_COLOUR.sub("", str(exc)).split())[:_MAX_TEXT]


def inspect(path: Path) -> ModelFile:
    """Read what the file holds. Raises ModelProblem if it is damaged, holds code, or is not a whole model."""
    with step(f"Reading {path}"):
        if path.is_dir():
            return _saved_model(path)
        if not path.is_file():
            raise ModelProblem(f"{path} {kind.of_missing(path)}")
        if text := kind.of_file(path):
            raise ModelProblem(f"{path} {text}")
        version, config = _keras_zip(path) if _starts_with(path, kind.ZIP) else _hdf5(path)
        for layer, part in parts(config):
            _refuse_code(layer, part)
        return ModelFile(path, "Keras 2" if version.startswith(("1.", "2.")) else "Keras 3", version, config)


def parts(config: Any, layer: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object of an architecture, with the name of the layer that it is or belongs to."""
    if isinstance(config, list):
        for item in config:
            yield from parts(item, layer)
    elif isinstance(config, dict):
        settings = config.get("config")
        if "class_name" in config:
            layer = str(settings.get("name", layer)) if isinstance(settings, dict) else layer
            yield layer, config
        for key, item in config.items():
            if key != "compile_config":  # losses and metrics do not matter in serving
                yield from parts(item, layer)


def _saved_model(path: Path) -> ModelFile:
    if text := kind.of_folder(path):
        raise ModelProblem(f"{path} {text}")
    return ModelFile(path, "TensorFlow", "", {})


def _starts_with(path: Path, start: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(start)) == start


def _keras_zip(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        with zipfile.ZipFile(path) as file:
            if text := kind.of_zip(file.namelist()):
                raise ModelProblem(f"{path} {text}")
            if damaged := file.testzip():
                raise ModelProblem(f"{path} is damaged: the checksum of {damaged} in it does not match.")
            version = json.loads(file.read("metadata.json"))["keras_version"]
            return str(version), json.loads(file.read("config.json"))
    except (KeyError, TypeError, ValueError, OSError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile) as exc:
        raise ModelProblem(f"{path} is damaged, or not a model that Keras saved: {exc}.") from exc


def _hdf5(path: Path) -> tuple[str, dict[str, Any]]:
    import h5py  # noqa: PLC0415 - without it, what is not a model is still named

    try:
        with h5py.File(path) as file:
            config = file.attrs.get("model_config")
            if config is None:
                raise ModelProblem(_without_architecture(path, file))
            return str(file.attrs.get("keras_version", _FIRST_VERSION)), json.loads(config)
    except (OSError, KeyError, RuntimeError, ValueError) as exc:
        raise ModelProblem(f"{path} is damaged, or not a model that Keras saved: {exc}.") from exc


def _without_architecture(path: Path, file: Any) -> str:
    if "layer_names" in file.attrs or {"layers", "vars"} & set(file):
        return f"{path} holds only weights. Save the whole model with model.save(…), not model.save_weights(…)."
    return f"{path} is an HDF5 file without a Keras model."


def _refuse_code(layer: str, part: dict[str, Any]) -> None:
    name, module = str(part["class_name"]), str(part.get("module") or "keras")
    is_lambda = name in {"Lambda", "__lambda__"}
    if is_lambda or _has_lambda(part.get("config")):
        raise ModelProblem(
            f"The layer {layer!r} {'is' if is_lambda else 'has'} Python code (Lambda), which runs on loading the model "
            "and not in TensorFlow Serving. Replace it by one of Keras's layers, such as Rescaling."
        )
    if name == "TFOpLambda":
        _refuse_operation(layer, str(part["config"].get("function", "")))
    registered = str(part.get("registered_name") or name)
    package = registered.rpartition(">")[0]
    if module.partition(".")[0] not in _KERAS or (package and package.lower() not in _KERAS):
        raise custom_object(layer, registered)


def _has_lambda(settings: Any) -> bool:
    """Return whether an activation is a lambda, which Keras 3 writes without its class."""
    activation = settings.get("activation") if isinstance(settings, dict) else None
    return isinstance(activation, dict) and activation.keys() == {"value"}


def custom_object(layer: str, name: str) -> ModelProblem:
    """Return the problem of a part that is not Keras's own."""
    owner = f"layer {layer!r}" if layer else "model"
    return ModelProblem(
        f"The {owner} is or has a custom object, {name}, that only its author's code can create. "
        "Export the model there as a SavedModel (model.export) and convert that."
    )


def _refuse_operation(layer: str, function: str) -> None:
    if function not in _HARMLESS and function.partition(".")[0] not in _HARMLESS_MODULES:
        raise ModelProblem(
            f"The layer {layer!r} calls tf.{function}, which is not an operation that models need. "
            "Export the model as a SavedModel (model.export) and convert that, if you trust it."
        )
