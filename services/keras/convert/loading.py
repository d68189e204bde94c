"""Loads a model with what saved it. Needs Keras, tf-keras and TensorFlow."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tf_keras

from services.keras.convert import saved_model
from services.keras.convert.loaded import LoadedModel, classes_of, dtype_of, only, size_of
from services.keras.convert.model_file import ModelFile, ModelProblem, parts, unknown

_STRUCTURES = {"Functional", "Model", "Sequential", "SlicingOpLambda", "TFOpLambda"}
_SHOWN = 500


def load(file: ModelFile) -> LoadedModel:
    """The model, without its optimizer. Raises ModelProblem.

    What Keras 2 saved is loaded by tf-keras, its continuation: Keras 3 knows some of its layers' settings no longer.
    """
    if file.maker == "TensorFlow":
        return saved_model.load(file.path)
    library = tf_keras if file.maker == "Keras 2" else keras
    _refuse_unknown(file, library)
    model = _load(file, library)
    taken, given = only(model.inputs, "input"), only(model.outputs, "output")
    return LoadedModel(
        call=lambda batch: model(batch, training=False),
        predict=lambda batch: np.asarray(model.predict(batch, verbose=0)),
        owner=[variable.value if library is keras else variable for variable in model.variables],
        size=size_of(tuple(taken.shape)),
        dtype=dtype_of(tf.as_dtype(taken.dtype).name),
        classes=classes_of(tuple(given.shape)),
    )


def _refuse_unknown(file: ModelFile, library: Any) -> None:
    """Functions, and layers without a module, as .h5 has them, are known by the name alone."""
    for layer, part in parts(file.config):
        name, own = str(part["class_name"]), part.get("config")
        if name == "function" and not hasattr(library.activations, str(own)):
            raise unknown(layer, str(own))
        is_layer = not part.get("module") and isinstance(own, dict) and "name" in own
        if is_layer and name not in _STRUCTURES and not hasattr(library.layers, name):
            raise unknown(layer, name)


def _load(file: ModelFile, library: Any) -> Any:
    try:
        return library.models.load_model(str(file.path), compile=False, safe_mode=True)
    except Exception as exc:
        text = " ".join(str(exc).split())[:_SHOWN]
        raise ModelProblem(f"{file.path}: {library.__name__} cannot load it ({type(exc).__name__}): {text}") from exc
