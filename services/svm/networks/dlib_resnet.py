"""dlib's ResNet, which sees faces aligned by dlib's five points."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from services.runtime.images.faces import Face
from services.runtime.images.image import Pixels
from services.runtime.images.session import session_of
from services.runtime.images.weights import DLIB_RESNET
from services.svm.faces.alignment import DlibAlignment
from services.svm.networks.network import DLIB, Vector

Floats = npt.NDArray[np.float32]
_GRAPH = Path(__file__).with_name("resnet.onnx")
_LAYER = re.compile(rb"\x01[\x04-\x07](con_4|affine_|fc_2)")
_TENSOR_VERSION = 2


class DlibResNet:
    """dlib's alignment and network. Thread-safe."""

    network = DLIB

    def __init__(self) -> None:
        self._dlib = DlibAlignment()

    def embed(self, pixels: Pixels, face: Face) -> Vector:
        """Return the vector [128] of a face in an RGB picture."""
        chip = self._dlib.chip(pixels, face)
        return np.asarray(_resnet().embed(chip[np.newaxis])[0], np.float64)


@cache
def _resnet() -> "ResNet":
    """Return the process's one ResNet."""
    return ResNet()


class ResNet:
    """dlib's face ResNet in onnxruntime: dlib's own numbers in a tenth of the time. Thread-safe, in parallel.

    The graph is a file of 9 KB beside this one (see resnet_graph), and the weights are read from dlib's file at
    every start, so no second copy of 22 MB lies anywhere and no server needs the package onnx.
    """

    def __init__(self) -> None:
        self._initializers = read_weights().initializers()  # the session may go on reading these very arrays
        self._session = session_of(_GRAPH.read_bytes(), self._initializers)

    def embed(self, chips: Pixels) -> Floats:
        """Return the embeddings [faces, 128] of RGB chips [faces, 150, 150, 3]."""
        (embeddings,) = self._session.run(None, {"chips": chips})
        return np.asarray(embeddings, np.float32)


@dataclass(frozen=True)
class Weights:
    """The ResNet's trained numbers."""

    convolutions: list[tuple[Floats, Floats]]
    """Kernels [out, in, side, side] and biases [out], in the order of running."""
    matrix: Floats
    """[channels, 128]: from the averaged last channels to the embedding; no bias."""

    def initializers(self) -> dict[str, Floats]:
        """Return the arrays by their names in the graph: kernel0, bias0, kernel1 …, matrix."""
        arrays = {"matrix": self.matrix}
        for number, (kernel, bias) in enumerate(self.convolutions):
            arrays |= {f"kernel{number}": kernel, f"bias{number}": bias}
        return arrays


def read_weights() -> Weights:
    """Read `dlib_face_recognition_resnet_model_v1.dat`. Raises what `DLIB_RESNET.read` raises.

    The format is that of dlib's serialize: an integer has its length in the low bits and its sign in the top bit
    of a first byte; a tensor is a version, four sizes and float32 values. Layers follow each other in the order
    of running. The network is dlib's `anet_type`: every convolution is followed by a scale and a shift for each
    of its channels ("affine"), which are folded into its weights here.
    """
    data = DLIB_RESNET.read()
    *convolutions, last = (_Reader(data, match.end()) for match in _LAYER.finditer(data))
    return Weights(list(_folded(convolutions[::2], convolutions[1::2])), _matrix(last))


class _Reader:
    """A position in dlib's file."""

    def __init__(self, data: bytes, offset: int) -> None:
        self._data = data
        self._offset = offset

    def integer(self) -> int:
        length = self._data[self._offset] & 0x0F
        begin = self._offset + 1
        self._offset = begin + length
        return int.from_bytes(self._data[begin : self._offset], "little")

    def tensor(self) -> Floats:
        version, *sizes = (self.integer() for _ in range(5))
        if version != _TENSOR_VERSION:
            raise ValueError(f"a tensor has dlib's version {version}; only {_TENSOR_VERSION} is supported")
        return np.frombuffer(self._data, "<f4", int(np.prod(sizes)), self._offset).reshape(sizes)


def _folded(convolutions: list[_Reader], affines: list[_Reader]) -> Iterator[tuple[Floats, Floats]]:
    """Fold each convolution's affine layer into it: scale * (weights x + bias) + shift."""
    channels = 3
    for convolution, affine in zip(convolutions, affines, strict=True):
        scale, shift = np.split(affine.tensor().ravel(), 2)
        numbers = convolution.tensor().ravel()
        kernel = numbers[: -len(scale)].reshape(len(scale), channels, *_side(numbers, len(scale), channels))
        yield kernel * scale[:, None, None, None], numbers[-len(scale) :] * scale + shift
        channels = len(scale)


def _side(numbers: Floats, out: int, channels: int) -> tuple[int, int]:
    side = round(np.sqrt((len(numbers) - out) / (out * channels)))
    return side, side


def _matrix(reader: _Reader) -> Floats:
    reader.integer()
    reader.integer()
    return reader.tensor()[:, :, 0, 0].copy()  # a view would keep the whole file in memory
