"""Models run by onnxruntime."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tensorflow.core.protobuf import meta_graph_pb2

from local.tf_serving.errors import invalid
from local.tf_serving.models.model import SIGNATURE, check_types
from local.tf_serving.tensors import number_of
from services.keras.serving.tensors import Array
from services.runtime.images import session

_onnxruntime = session.onnxruntime()
_METHOD = "tensorflow/serving/predict"
_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(string)": np.object_,
}
_errors = _onnxruntime.capi.onnxruntime_pybind11_state
_BROKEN = (_errors.Fail, _errors.InvalidArgument, _errors.InvalidGraph, _errors.InvalidProtobuf, _errors.NotImplemented)


class OnnxModel:
    """A Model whose signature has the names of the graph's inputs and outputs."""

    def __init__(self, path: Path, threads: int) -> None:
        options = _onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors are raised; onnxruntime need not print them too
        try:
            self._session = _onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except _BROKEN as exc:
            raise OSError(f"{path} cannot be loaded: {exc}") from exc
        try:
            self.signatures: Mapping[str, Any] = {SIGNATURE: _signature(self._session)}
        except KeyError as exc:
            raise OSError(f"{path} cannot be served: it has values of the type {exc.args[0]}") from exc

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Return the outputs of those names. Raises Refusal for inputs of a wrong type or shape.

        TensorFlow's text for a wrong shape depends on the first kernel that fails, so the text is
        onnxruntime's own, with the same code.
        """
        check_types(inputs, self.signatures[signature])
        try:
            results: list[Array] = self._session.run(list(outputs), dict(inputs))
        except _errors.InvalidArgument as exc:
            raise invalid(str(exc)) from exc
        return results


def _signature(session: Any) -> Any:
    signature = meta_graph_pb2.SignatureDef(method_name=_METHOD)
    for value in session.get_inputs():
        _describe(signature.inputs[value.name], value, f"{SIGNATURE}_{value.name}:0")
    for number, value in enumerate(session.get_outputs()):
        _describe(signature.outputs[value.name], value, f"StatefulPartitionedCall:{number}")
    return signature


def _describe(info: Any, value: Any, tensor: str) -> None:
    """Fill a TensorInfo as Keras's exports have it; a free dimension is -1."""
    info.name = tensor
    info.dtype = number_of(np.dtype(_DTYPES[value.type]))
    for size in value.shape:
        info.tensor_shape.dim.add(size=size if isinstance(size, int) else -1)
