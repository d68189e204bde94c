"""dlib's face ResNet in onnxruntime: dlib's own numbers in a tenth of the time.

The graph is written from dlib's weights at every start, which takes less time than reading it from a
disk would save, and leaves no second copy of 22 MB anywhere.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from services.runtime.images.image import Pixels
from services.svm.faces.resnet_weights import Weights, read_weights

SIDE = 150
"""Pixels of a chip, the aligned square picture of a face."""
LENGTH = 128

_BLOCKS = [(32, 1)] * 3 + [(64, 2)] + [(64, 1)] * 3 + [(128, 2)] + [(128, 1)] * 2 + [(256, 2)] + [(256, 1)] * 2
_BLOCKS += [(256, 2)]
"""The residual blocks' channels and strides."""
_OPSET, _IR = 17, 9


class ResNet:
    """The network, ready to run. Safe to share between threads, which run it side by side."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # it would keep the most that any call ever needed, for each thread
        self._session = onnxruntime.InferenceSession(onnx_model(read_weights(path)), options)

    def embed(self, chips: Pixels) -> npt.NDArray[np.float32]:
        """RGB chips [faces, 150, 150, 3] as [faces, 128]."""
        (embeddings,) = self._session.run(None, {"chips": chips})
        return np.asarray(embeddings, np.float32)


def onnx_model(weights: Weights) -> bytes:
    """An ONNX model from uint8 `chips` [faces, 150, 150, 3] to float32 `embeddings` [faces, 128]."""
    graph = _Graph()
    first, *rest = weights.convolutions
    x = graph.prepare("chips")
    x = graph.add("Relu", graph.convolve(x, first, stride=2, padding=0))
    x = graph.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
    channels, size = 32, 35
    for number, (wider, stride) in enumerate(_BLOCKS):
        x, size = graph.block(x, rest[2 * number : 2 * number + 2], (channels, wider), stride, size)
        channels = wider
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    graph.nodes.append(helper.make_node("MatMul", [x, graph.constant(weights.matrix)], ["embeddings"]))
    made = helper.make_graph(
        graph.nodes,
        "dlib_face_resnet",
        [helper.make_tensor_value_info("chips", TensorProto.UINT8, ["faces", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["faces", LENGTH])],
        graph.constants,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    return bytes(model.SerializeToString())


class _Graph:
    """Nodes and constants; every method returns the name of a value."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, operation: str, *inputs: str, **attributes: Any) -> str:
        name = f"{operation}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, inputs, [name], **attributes))
        return name

    def constant(self, values: npt.NDArray[Any]) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def prepare(self, chips: str) -> str:
        """The chips as dlib feeds them: channels first, less its training data's mean colour, by 256."""
        mean = np.array([122.782, 117.001, 104.298], np.float32).reshape(1, 3, 1, 1)
        x = self.add("Transpose", self.add("Cast", chips, to=1), perm=[0, 3, 1, 2])
        return self.add("Div", self.add("Sub", x, self.constant(mean)), self.constant(np.array([256], np.float32)))

    def convolve(self, x: str, numbers: tuple[Any, Any], stride: int, padding: int) -> str:
        weights, bias = (self.constant(values) for values in numbers)
        return self.add("Conv", x, weights, bias, strides=[stride] * 2, pads=[padding] * 4)

    def block(
        self, x: str, convolutions: list[Any], channels: tuple[int, int], stride: int, size: int
    ) -> tuple[str, int]:
        """Two convolutions and the way around them; returns the value and its side."""
        first, second = convolutions
        y = self.add("Relu", self.convolve(x, first, stride, padding=2 - stride))
        y = self.convolve(y, second, stride=1, padding=1)
        if stride > 1:
            x = self.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
            inner, size = (size - 3) // 2 + 1, size // 2
            y = self.grow(y, 0, size - inner)
            x = self.grow(x, channels[1] - channels[0], 0)
        return self.add("Relu", self.add("Add", x, y)), size

    def grow(self, x: str, channels: int, pixels: int) -> str:
        """Zeros behind the last channels and pixels: dlib's add_prev takes the larger of two shapes."""
        if not channels and not pixels:
            return x
        return self.add("Pad", x, self.constant(np.array([0, 0, 0, 0, 0, channels, pixels, pixels], np.int64)))
