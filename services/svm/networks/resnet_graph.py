"""Write resnet.onnx, the graph of dlib's ResNet without its weights: `python -m services.svm.networks.resnet_graph`.

Needs the package onnx, which servers do not have: they give the weights to onnxruntime (see dlib_resnet).
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

from services.svm.faces.alignment import CHIP_SIDE
from services.svm.networks.dlib_resnet import read_weights
from services.svm.networks.network import DLIB

PATH = Path(__file__).with_name("resnet.onnx")

_BLOCKS = [(32, 1)] * 3 + [(64, 2)] + [(64, 1)] * 3 + [(128, 2)] + [(128, 1)] * 2 + [(256, 2)] + [(256, 1)] * 2
_BLOCKS += [(256, 2)]
"""Channels and strides of the residual blocks."""
_OPSET, _IR = 17, 9
_FLOAT_BYTES = 4


def graph() -> bytes:
    """Return an ONNX model from uint8 `chips` [faces, 150, 150, 3] to float32 `embeddings` [faces, 128]."""
    shapes = {name: values.shape for name, values in read_weights().initializers().items()}
    network = _Network(shapes)
    x = network.prepare("chips")
    x = network.add("Relu", network.convolve(x, stride=2, padding=0))
    x = network.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
    channels, size = 32, 35
    for wider, stride in _BLOCKS:
        x, size = network.block(x, (channels, wider), stride, size)
        channels = wider
    x = network.add("Flatten", network.add("GlobalAveragePool", x))
    network.nodes.append(helper.make_node("MatMul", [x, network.weight("matrix")], ["embeddings"]))
    return network.model()


class _Network:
    """Nodes and constants; every method that adds some returns the name of a value."""

    def __init__(self, shapes: dict[str, tuple[int, ...]]) -> None:
        self.nodes: list[Any] = []
        self._shapes = shapes
        self._initializers: list[Any] = []
        self._convolutions = 0

    def model(self) -> bytes:
        """Return the graph, serialized."""
        graph = helper.make_graph(
            self.nodes,
            "dlib_face_resnet",
            [helper.make_tensor_value_info("chips", TensorProto.UINT8, ["faces", CHIP_SIDE, CHIP_SIDE, 3])],
            [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["faces", DLIB.length])],
            self._initializers,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
        return bytes(model.SerializeToString())

    def add(self, operation: str, *inputs: str, **attributes: Any) -> str:
        name = f"{operation}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, inputs, [name], **attributes))
        return name

    def constant(self, values: npt.NDArray[Any]) -> str:
        name = f"constant{len(self._initializers)}"
        self._initializers.append(numpy_helper.from_array(values, name))
        return name

    def weight(self, name: str) -> str:
        """Add an initializer without values, which the session gets from outside."""
        shape = self._shapes[name]
        tensor = TensorProto(name=name, dims=shape, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
        for key, value in {"location": "dlib", "length": str(_FLOAT_BYTES * int(np.prod(shape)))}.items():
            tensor.external_data.add(key=key, value=value)
        self._initializers.append(tensor)
        return name

    def prepare(self, chips: str) -> str:
        """Feed the chips as dlib does: channels first, less its training data's mean colour, by 256."""
        mean = np.array([122.782, 117.001, 104.298], np.float32).reshape(1, 3, 1, 1)
        x = self.add("Transpose", self.add("Cast", chips, to=1), perm=[0, 3, 1, 2])
        return self.add("Div", self.add("Sub", x, self.constant(mean)), self.constant(np.array([256], np.float32)))

    def convolve(self, x: str, stride: int, padding: int) -> str:
        """Add the next convolution."""
        kernel, bias = (self.weight(f"{kind}{self._convolutions}") for kind in ("kernel", "bias"))
        self._convolutions += 1
        return self.add("Conv", x, kernel, bias, strides=[stride] * 2, pads=[padding] * 4)

    def block(self, x: str, channels: tuple[int, int], stride: int, size: int) -> tuple[str, int]:
        """Add two convolutions and the way around them; return the value and its side."""
        y = self.add("Relu", self.convolve(x, stride, padding=2 - stride))
        y = self.convolve(y, stride=1, padding=1)
        if stride > 1:
            x = self.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
            inner, size = (size - 3) // 2 + 1, size // 2
            y = self.pad(y, 0, size - inner)
            x = self.pad(x, channels[1] - channels[0], 0)
        return self.add("Relu", self.add("Add", x, y)), size

    def pad(self, x: str, channels: int, pixels: int) -> str:
        """Append zeros to channels and pixels: dlib's add_prev takes the larger of two shapes."""
        if not channels and not pixels:
            return x
        return self.add("Pad", x, self.constant(np.array([0, 0, 0, 0, 0, channels, pixels, pixels], np.int64)))


if __name__ == "__main__":
    PATH.write_bytes(graph())
