"""Models loaded with the library that saved them. Needs Keras, tf-keras and TensorFlow."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from services.keras.convert.model_file import ModelFile, ModelProblem, custom_object, parts
from services.keras.preprocess import SIZE

SIGNATURE = "serving_default"
"""Name of the signature that clients of TensorFlow Serving use."""
_STRUCTURES = {"Functional", "Model", "Sequential", "SlicingOpLambda", "TFOpLambda"}
_FORBIDDEN = {"EagerPyFunc", "MatchingFiles", "PyFunc", "PyFuncStateless", "ReadFile", "WriteFile"}
_RANK = 4
_CHANNELS = 3
_MAX_TEXT = 500
T = TypeVar("T")


@dataclass(frozen=True)
class LoadedModel:
    """What conversion needs of a model, whichever library saved it."""

    call: Callable[[Any], Any]
    """Tensor [N, height, width, 3] of `dtype` → tensor [N, classes]; TensorFlow can trace it."""
    predict: Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]]
    """The same on arrays, computed by the library that saved it: the reference for the converted model."""
    owner: Any
    """Object that holds the weights."""
    size: tuple[int, int]
    """Height and width; 224x224 if the model takes any."""
    dtype: str
    """float32 or uint8."""
    classes: int


def load(file: ModelFile) -> LoadedModel:
    """Load the model without its optimizer. Raises ModelProblem.

    tf-keras, the continuation of Keras 2, loads what that saved: Keras 3 no longer knows some layers' settings.
    """
    if file.maker == "TensorFlow":
        return _saved_model(file.path)
    return _keras_model(file, tf_keras if file.maker == "Keras 2" else keras)


def _keras_model(file: ModelFile, library: Any) -> LoadedModel:
    _refuse_unknown(file, library)
    model = _load_keras(file, library)
    model_input, output = _only(model.inputs, "input"), _only(model.outputs, "output")
    return LoadedModel(
        call=lambda batch: model(batch, training=False),
        predict=lambda batch: np.asarray(model.predict(batch, verbose=0)),
        owner=[variable.value if library is keras else variable for variable in model.variables],
        size=_size(tuple(model_input.shape)),
        dtype=_dtype(tf.as_dtype(model_input.dtype).name),
        classes=_classes(tuple(output.shape)),
    )


def _refuse_unknown(file: ModelFile, library: Any) -> None:
    """Raise ModelProblem for parts without a module, as .h5 files have them, whose name the library does not know."""
    for layer, part in parts(file.config):
        name, config = str(part["class_name"]), part.get("config")
        if name == "function" and not hasattr(library.activations, str(config)):
            raise custom_object(layer, str(config))
        is_layer = not part.get("module") and isinstance(config, dict) and "name" in config
        if is_layer and name not in _STRUCTURES and not hasattr(library.layers, name):
            raise custom_object(layer, name)


def _load_keras(file: ModelFile, library: Any) -> Any:
    try:
        return library.models.load_model(str(file.path), compile=False, safe_mode=True)
    except Exception as exc:
        text = " ".join(str(exc).split())[:_MAX_TEXT]
        raise ModelProblem(f"{file.path}: {library.__name__} cannot load it ({type(exc).__name__}): {text}") from exc


def _saved_model(path: Path) -> LoadedModel:
    """Load the signature serving_default of a SavedModel."""
    if forbidden := _FORBIDDEN & set(_operations(path)):
        raise ModelProblem(f"{path} reads or writes files, or calls Python: {', '.join(sorted(forbidden))}.")
    model = _load_saved_model(path)
    if SIGNATURE not in model.signatures:
        raise ModelProblem(f"{path} has no signature {SIGNATURE}; it has: {', '.join(model.signatures) or 'none'}.")
    signature = model.signatures[SIGNATURE]
    input_name, model_input = _only(list(signature.structured_input_signature[1].items()), "input")
    output_name, output = _only(list(signature.structured_outputs.items()), "output")

    def call(batch: Any) -> Any:
        return signature(**{input_name: batch})[output_name]

    return LoadedModel(
        call=call,
        predict=lambda batch: np.asarray(call(tf.constant(batch))),
        owner=model,
        size=_size(tuple(model_input.shape)),
        dtype=_dtype(model_input.dtype.name),
        classes=_classes(tuple(output.shape)),
    )


def _operations(path: Path) -> Iterator[str]:
    model = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString((path / "saved_model.pb").read_bytes())
    except DecodeError as exc:
        raise ModelProblem(f"{path / 'saved_model.pb'} is damaged: {exc}.") from exc
    for graph in model.meta_graphs:
        yield from (node.op for node in graph.graph_def.node)
        for function in graph.graph_def.library.function:
            yield from (node.op for node in function.node_def)


def _load_saved_model(path: Path) -> Any:
    try:
        return tf.saved_model.load(str(path))
    except Exception as exc:
        raise ModelProblem(f"{path}: TensorFlow cannot load it ({type(exc).__name__}): {exc}") from exc


def _only(items: Sequence[T], what: str) -> T:
    if len(items) != 1:
        raise ModelProblem(f"The model has {len(items)} {what}s; it must have one.")
    return items[0]


def _size(shape: Sequence[int | None]) -> tuple[int, int]:
    if len(shape) != _RANK or shape[3] not in {_CHANNELS, None} or shape[0] is not None:
        raise ModelProblem(f"The model's input has the shape {list(shape)}; it must be [None, height, width, 3].")
    return shape[1] or SIZE[0], shape[2] or SIZE[1]


def _dtype(name: str) -> str:
    if name not in {"float32", "uint8"}:
        raise ModelProblem(f"The model's input is {name}; it must be float32 or uint8.")
    return name


def _classes(shape: Sequence[int | None]) -> int:
    if len(shape) != 2 or not shape[1]:  # noqa: PLR2004 - N, classes
        raise ModelProblem(f"The model's output has the shape {list(shape)}; it must be [None, classes].")
    return shape[1]
