"""Models loaded with the library that saved them. Needs Keras, tf-keras and TensorFlow."""

import io
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import h5py
import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras

from services.keras.convert.model_file import ModelFile, ModelProblem, brief, custom_object, parts
from services.keras.convert.operations import check_operations
from services.keras.preprocess import SIZE

SIGNATURE = "serving_default"
"""Name of the signature that clients of TensorFlow Serving use."""
_STRUCTURES = {"Functional", "Model", "Sequential", "SlicingOpLambda", "TFOpLambda"}
_RANK = 4
_COLOURS = 3
_CHANNELS = {1: 1, _COLOURS: _COLOURS, None: _COLOURS}
"""Channels of the pictures by the input's last dimension."""
_WEIGHTS = "model.weights.h5"
T = TypeVar("T")


@dataclass(frozen=True)
class LoadedModel:
    """What conversion needs of a model, whichever library saved it."""

    call: Callable[[Any], Any]
    """Tensor [N, height, width, channels] of `dtype` → tensor [N, classes]; TensorFlow can trace it."""
    predict: Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]]
    """The same on arrays, computed by the library that saved it: the reference for the converted model."""
    owner: Any
    """Object that holds the weights."""
    size: tuple[int, int]
    """Height and width; 224x224 if the model takes any."""
    channels: int
    """1 for grey pictures, 3 for RGB."""
    dtype: str
    """float32 or uint8."""
    classes: int


def load(file: ModelFile, allowed: Collection[str] = ()) -> LoadedModel:
    """Load the model without its optimizer. Raises ModelProblem.

    tf-keras, the continuation of Keras 2, loads what that saved: Keras 3 no longer knows some layers' settings.
    A SavedModel may have the operations `allowed`, besides those that are known to be harmless.
    """
    if file.maker == "TensorFlow":
        check_operations(file.path, allowed)
        return _saved_model(file.path)
    return _keras_model(file, tf_keras if file.maker == "Keras 2" else keras)


def _keras_model(file: ModelFile, library: Any) -> LoadedModel:
    _refuse_unknown(file, library)
    with _portable(file.path) as path:
        model = _load_keras(file, path, library)
    model_input, output = _only(model.inputs, "input"), _only(model.outputs, "output")
    return LoadedModel(
        call=lambda batch: _unpacked(model(batch, training=False)),
        predict=lambda batch: np.asarray(_unpacked(model.predict(batch, verbose=0))),
        owner=[variable.value if library is keras else variable for variable in model.variables],
        size=_size(tuple(model_input.shape)),
        channels=_channels(tuple(model_input.shape)),
        dtype=_dtype(tf.as_dtype(model_input.dtype).name),
        classes=_classes(tuple(output.shape)),
    )


def _unpacked(output: Any) -> Any:
    """Return a model's only output, which may be in a list or a dict."""
    return tf.nest.flatten(output)[0]


def _refuse_unknown(file: ModelFile, library: Any) -> None:
    """Raise ModelProblem for parts without a module, as .h5 files have them, whose name the library does not know."""
    for layer, part in parts(file.config):
        name, settings = str(part["class_name"]), part.get("config")
        if name == "function" and not hasattr(library.activations, str(settings)):
            raise custom_object(layer, str(settings))
        if not isinstance(settings, dict):
            continue
        is_layer = not part.get("module") and ("name" in settings or part is file.config)
        if is_layer and name not in _STRUCTURES and not hasattr(library.layers, name):
            raise custom_object(layer, name)
        activation = settings.get("activation")
        if isinstance(activation, str) and not _is_activation(library, activation):
            raise custom_object(layer, activation)


def _is_activation(library: Any, name: str) -> bool:
    try:
        library.activations.get(name)
    except (TypeError, ValueError):
        return False
    return True


def _load_keras(file: ModelFile, path: Path, library: Any) -> Any:
    try:
        return library.models.load_model(str(path), compile=False, safe_mode=True)
    except Exception as exc:
        text = brief(exc).replace(str(path), str(file.path))
        raise ModelProblem(
            f"{file.path}, saved by Keras {file.version}: {library.__name__} {library.__version__} cannot load it "
            f"({type(exc).__name__}): {text}"
        ) from exc


@contextmanager
def _portable(path: Path) -> Iterator[Path]:
    r"""Yield the file, or a copy with `layers/dense` for weights that Keras on Windows called `layers\dense`."""
    weights = _renamed_weights(path) if zipfile.is_zipfile(path) else None
    if weights is None:
        yield path
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
            for name in old.namelist():
                new.writestr(name.replace("\\", "/"), weights if name == _WEIGHTS else old.read(name))
        yield copy


def _renamed_weights(path: Path) -> bytes | None:
    """Return a .keras file's weights with slashes in all names; None if they have no others."""
    with zipfile.ZipFile(path) as file:
        if _WEIGHTS not in file.namelist():
            return None
        weights = io.BytesIO(file.read(_WEIGHTS))
    with h5py.File(weights, "r+") as root:
        if not _rename(root):
            return None
    return weights.getvalue()


def _rename(group: Any) -> int:
    """Replace backslashes in the names in an HDF5 group, whose parents come first; return how many names had some."""
    names = sorted((name for name in group if "\\" in name), key=len)
    for name in names:
        group.move(name, name.replace("\\", "/"))
    return len(names) + sum(_rename(child) for child in group.values() if isinstance(child, h5py.Group))


def _saved_model(path: Path) -> LoadedModel:
    """Load the signature serving_default of a SavedModel."""
    model = _load_saved_model(path)
    if SIGNATURE not in model.signatures:
        raise ModelProblem(f"{path} has no signature {SIGNATURE}; it has: {', '.join(model.signatures) or 'none'}.")
    signature = model.signatures[SIGNATURE]
    input_name, model_input = _only(list(signature.structured_input_signature[1].items()), "input")
    output_name, output = _only(list(signature.structured_outputs.items()), "output")
    shape = tuple(model_input.shape)

    def call(batch: Any) -> Any:
        return signature(**{input_name: batch})[output_name]

    def call_one_by_one(batch: Any) -> Any:
        return tf.map_fn(lambda picture: call(picture[tf.newaxis])[0], batch, fn_output_signature=output.dtype)

    served = call if _batch(shape) is None else call_one_by_one
    return LoadedModel(
        call=served,
        predict=lambda batch: np.asarray(served(tf.constant(batch))),
        owner=model,
        size=_size(shape),
        channels=_channels(shape),
        dtype=_dtype(model_input.dtype.name),
        classes=_classes(tuple(output.shape)),
    )


def _batch(shape: Sequence[int | None]) -> int | None:
    """Return the number of pictures that a graph takes: any (None) or one. A Keras model is traced again for any."""
    if shape[0] not in {None, 1}:
        raise ModelProblem(
            f"The model takes exactly {shape[0]} pictures at once. Export it with a free number of pictures: its "
            f"input's shape is {list(shape)} and should be {[None, *shape[1:]]}."
        )
    return shape[0]


def _load_saved_model(path: Path) -> Any:
    try:
        return tf.saved_model.load(str(path))
    except Exception as exc:
        raise ModelProblem(
            f"{path}: TensorFlow {tf.__version__} cannot load it ({type(exc).__name__}): {brief(exc)}"
        ) from exc


def _only(items: Sequence[T], what: str) -> T:
    if len(items) != 1:
        raise ModelProblem(f"The model has {len(items)} {what}s; it must have one.")
    return items[0]


def _size(shape: Sequence[int | None]) -> tuple[int, int]:
    if len(shape) != _RANK:
        raise ModelProblem(f"{_wrong_shape(shape)}.")
    return shape[1] or SIZE[0], shape[2] or SIZE[1]


def _channels(shape: Sequence[int | None]) -> int:
    if shape[3] in _CHANNELS:
        return _CHANNELS[shape[3]]
    if shape[1] in {1, _COLOURS}:
        raise ModelProblem(
            f"{_wrong_shape(shape)}: its channels come first. Build it with data_format='channels_last', or put "
            "keras.layers.Permute((3, 1, 2)) before it."
        )
    raise ModelProblem(f"{_wrong_shape(shape)}: a picture has three channels (RGB), or one if it is grey.")


def _wrong_shape(shape: Sequence[int | None]) -> str:
    expected = "[None, height, width, 3] or [None, height, width, 1]"
    return f"The model's input has the shape {list(shape)}; it must be {expected}"


def _dtype(name: str) -> str:
    if name not in {"float32", "uint8"}:
        raise ModelProblem(f"The model's input is {name}; it must be float32 or uint8.")
    return name


def _classes(shape: Sequence[int | None]) -> int:
    if len(shape) != 2 or not shape[1]:  # noqa: PLR2004 - N, classes
        raise ModelProblem(f"The model's output has the shape {list(shape)}; it must be [None, classes].")
    return shape[1]
