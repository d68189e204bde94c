"""Tests of arrays in TensorFlow's messages."""

import numpy as np
import pytest
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2

from services.keras.serving import tensors


def _proto(dtype: int, shape: list[int], **values: object) -> tensor_pb2.TensorProto:
    sizes = [tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in shape]
    return tensor_pb2.TensorProto(dtype=dtype, tensor_shape=tensor_shape_pb2.TensorShapeProto(dim=sizes), **values)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.int32, np.int64])
@pytest.mark.parametrize("write", [tensors.as_content, tensors.as_values])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3), (1, 2, 2, 3)])
def test_round_trip(dtype: type, write: object, shape: tuple[int, ...]) -> None:
    """Both forms preserve type, shape and values."""
    array = np.arange(np.prod(shape, dtype=int), dtype=dtype).reshape(shape)
    back = tensors.to_array(write(array))  # type: ignore[operator] # parametrize is untyped
    assert back.dtype == array.dtype
    assert np.array_equal(back, array)


def test_short_list_is_extended() -> None:
    """TensorFlow omits trailing values that repeat the last one, and they are restored."""
    proto = _proto(types_pb2.DT_FLOAT, [2, 2], float_val=[1.0, 0.5])
    assert np.array_equal(tensors.to_array(proto), [[1.0, 0.5], [0.5, 0.5]])


@pytest.mark.parametrize(
    "proto",
    [
        _proto(types_pb2.DT_FLOAT, [2], float_val=[1, 2, 3]),
        _proto(types_pb2.DT_FLOAT, [2]),
        _proto(types_pb2.DT_FLOAT, [2], tensor_content=b"1234567"),
        _proto(types_pb2.DT_FLOAT, [-1], float_val=[1]),
        _proto(types_pb2.DT_STRING, [1], string_val=[b"x"]),
        _proto(999, [1]),
    ],
    ids=["too many", "none", "cut short", "open shape", "string", "unknown type"],
)
def test_broken_tensor(proto: tensor_pb2.TensorProto) -> None:
    """A message whose values do not match its declared type and shape is refused."""
    with pytest.raises(tensors.TensorError):
        tensors.to_array(proto)
