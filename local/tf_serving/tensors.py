"""Arrays to TensorFlow's messages and back: those of the recognizer, and strings, which only the stand-in serves."""

from typing import Any

import numpy as np
from tensorflow.core.framework import tensor_pb2, types_pb2

from services.keras.serving import tensors
from services.keras.serving.tensors import Array, TensorError

_STRING = np.dtype(object)


def to_array(proto: Any) -> Array:
    """Return the tensor; strings are bytes in an array of objects. Raises TensorError."""
    if proto.dtype != types_pb2.DT_STRING:
        return tensors.to_array(proto)
    shape = [dimension.size for dimension in proto.tensor_shape.dim]
    try:
        return np.array(list(proto.string_val), object).reshape(shape)
    except ValueError as exc:
        raise TensorError(str(exc)) from exc


def to_proto(array: Array, *, as_content: bool = False) -> Any:
    """Return the array as a TensorProto."""
    if array.dtype != _STRING:
        return tensors.as_content(array) if as_content else tensors.as_values(array)
    values = [one if isinstance(one, bytes) else str(one).encode() for one in array.ravel()]
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=values)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


def number_of(dtype: np.dtype[Any]) -> int:
    """Return TensorFlow's type for NumPy's. Raises TensorError."""
    return int(types_pb2.DT_STRING) if dtype == _STRING else tensors.number_of(dtype)


def dtype_of(number: int) -> np.dtype[Any]:
    """Return NumPy's type for TensorFlow's. Raises TensorError."""
    return _STRING if number == types_pb2.DT_STRING else tensors.dtype_of(number)
