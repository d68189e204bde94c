"""SavedModels run by TensorFlow in a session on their graph, as TensorFlow Serving runs them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from local.tf_serving.errors import invalid
from local.tf_serving.models.model import check_types
from services.keras.serving.tensors import Array


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

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Return the outputs of those names. Raises Refusal with TensorFlow's own text.

        A wrong shape has the text of its Python API, which checks before any kernel does; the code is the same.
        """
        definition = self.signatures[signature]
        check_types(inputs, definition)
        feeds = {definition.inputs[name].name: array for name, array in inputs.items()}
        try:
            results: list[Array] = self._session.run([definition.outputs[name].name for name in outputs], feeds)
        except ValueError as exc:
            raise invalid(str(exc)) from exc
        except tf.errors.InvalidArgumentError as exc:
            raise invalid(exc.message) from exc
        return results
