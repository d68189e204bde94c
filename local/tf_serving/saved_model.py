"""A model run by TensorFlow, as TensorFlow Serving does: a session on the SavedModel's graph."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import tensorflow as tf

from local.tf_serving.errors import invalid
from services.keras.tensors import Array


class SavedModel:
    """A Model. Source: `LoadSavedModel` in tensorflow/cc/saved_model/loader.cc, with the tag `serve`."""

    def __init__(self, folder: Path, threads: int) -> None:
        tf1 = tf.compat.v1
        config = tf1.ConfigProto(intra_op_parallelism_threads=threads)
        self._session = tf1.Session(graph=tf.Graph(), config=config)
        try:
            graph = tf1.saved_model.load(self._session, [tf.saved_model.SERVING], str(folder))
        except (tf.errors.OpError, RuntimeError) as exc:
            raise OSError(f"{folder} cannot be loaded: {exc}") from exc
        self.signatures: Mapping[str, Any] = dict(graph.signature_def)
        self._callable = cache(self._make)

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """The outputs by name. Raises Refused with TensorFlow's own text."""
        call = self._callable(signature, tuple(inputs), tuple(outputs))
        try:
            results: list[Array] = call(*inputs.values())
        except tf.errors.InvalidArgumentError as exc:
            raise invalid(exc.message) from exc
        return results

    def _make(self, signature: str, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Any:
        """Feeds without looking at them, as the server's `Session::Run` does; `Session.run` of Python would."""
        tensor = self._session.graph.get_tensor_by_name
        definition = self.signatures[signature]
        return self._session.make_callable(
            [tensor(definition.outputs[name].name) for name in outputs],
            [tensor(definition.inputs[name].name) for name in inputs],
        )
