"""Arrays to TensorFlow's messages and back. Pure."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from tensorflow.core.framework import tensor_pb2, types_pb2

Array = npt.NDArray[Any]

# TensorFlow's type → NumPy's, and the field of TensorProto that holds single values of that type
_TYPES: dict[int, tuple[type[np.generic], str]] = {
    types_pb2.DT_FLOAT: (np.float32, "float_val"),
    types_pb2.DT_DOUBLE: (np.float64, "double_val"),
    types_pb2.DT_UINT8: (np.uint8, "int_val"),
    types_pb2.DT_INT32: (np.int32, "int_val"),
    types_pb2.DT_INT64: (np.int64, "int64_val"),
}
_NUMBERS = {np.dtype(kind): number for number, (kind, _) in _TYPES.items()}


class TensorError(ValueError):
    """The message does not hold the tensor that it announces, or one of an unsupported type."""


def as_content(array: Array) -> Any:
    """Return the array as a TensorProto with its values in `tensor_content`: the short and fast form."""
    proto = _header(array)
    proto.tensor_content = np.ascontiguousarray(array).tobytes()
    return proto


def as_values(array: Array) -> Any:
    """Return the array as a TensorProto with its values one by one in `float_val` and the like."""
    proto = _header(array)
    getattr(proto, _TYPES[proto.dtype][1]).extend(array.ravel().tolist())
    return proto


def to_array(proto: Any) -> Array:
    """Return the tensor in either form; a short list is continued with its last value.

    Raises TensorError. Source: `Tensor::FromProto` in tensorflow/core/framework/tensor.cc.
    """
    kind, field = _kind(proto.dtype)
    shape = [dimension.size for dimension in proto.tensor_shape.dim]
    count = math.prod(shape)
    if min(shape, default=0) < 0:
        raise TensorError(f"The tensor's shape {shape} is not fixed.")
    if proto.tensor_content:
        values = _from_content(proto.tensor_content, kind, count)
    else:
        values = _from_values(getattr(proto, field), kind, count)
    return values.reshape(shape)


def dtype_of(number: int) -> np.dtype[Any]:
    """Return NumPy's type for TensorFlow's. Raises TensorError."""
    return np.dtype(_kind(number)[0])


def number_of(dtype: np.dtype[Any]) -> int:
    """Return TensorFlow's type for NumPy's. Raises TensorError."""
    if dtype not in _NUMBERS:
        raise TensorError(f"The type {dtype} is not supported.")
    return _NUMBERS[dtype]


def _header(array: Array) -> Any:
    proto = tensor_pb2.TensorProto(dtype=number_of(array.dtype))
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


def _kind(number: int) -> tuple[type[np.generic], str]:
    if number not in _TYPES:
        name = types_pb2.DataType.Name(number) if number in types_pb2.DataType.values() else number
        raise TensorError(f"The type {name} is not supported.")
    return _TYPES[number]


def _from_content(content: bytes, kind: type[np.generic], count: int) -> Array:
    if len(content) != count * np.dtype(kind).itemsize:
        raise TensorError(f"The tensor has {len(content)} bytes for {count} values.")
    return np.frombuffer(content, kind)


def _from_values(values: Any, kind: type[np.generic], count: int) -> Array:
    if len(values) > count or (count and not values):
        raise TensorError(f"The tensor has {len(values)} values instead of {count}.")
    array = np.array(values, dtype=kind)
    return np.concatenate([array, np.full(count - len(values), array[-1], kind)]) if len(values) < count else array
