"""SavedModels that something else exported. Needs TensorFlow."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from services.keras.convert.loaded import SIGNATURE, LoadedModel, classes_of, dtype_of, only, size_of
from services.keras.convert.model_file import ModelProblem

_FORBIDDEN = {"EagerPyFunc", "MatchingFiles", "PyFunc", "PyFuncStateless", "ReadFile", "WriteFile"}


def load(path: Path) -> LoadedModel:
    """The model behind the signature serving_default. Raises ModelProblem."""
    if forbidden := _FORBIDDEN & set(_operations(path)):
        raise ModelProblem(f"{path} reads or writes files, or calls Python: {', '.join(sorted(forbidden))}.")
    loaded = _load(path)
    if SIGNATURE not in loaded.signatures:
        raise ModelProblem(f"{path} has no signature {SIGNATURE}; it has: {', '.join(loaded.signatures) or 'none'}.")
    signature = loaded.signatures[SIGNATURE]
    name, taken = only(list(signature.structured_input_signature[1].items()), "input")
    output, given = only(list(signature.structured_outputs.items()), "output")

    def call(batch: Any) -> Any:
        return signature(**{name: batch})[output]

    return LoadedModel(
        call=call,
        predict=lambda batch: np.asarray(call(tf.constant(batch))),
        owner=loaded,
        size=size_of(tuple(taken.shape)),
        dtype=dtype_of(taken.dtype.name),
        classes=classes_of(tuple(given.shape)),
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


def _load(path: Path) -> Any:
    try:
        return tf.saved_model.load(str(path))
    except Exception as exc:
        raise ModelProblem(f"{path}: TensorFlow cannot load it ({type(exc).__name__}): {exc}") from exc
