"""Reads the weights of dlib's face ResNet out of dlib's own file.

The format is that of dlib's serialize: an integer has its length in the low bits and its sign in the
top bit of a first byte; a tensor is a version, four sizes and float32 values. Layers follow each other
in the order of running. The network is dlib's `anet_type`: every convolution is followed by a scale
and a shift for each of its channels ("affine"), which are folded into its weights here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

CONVOLUTIONS = 29

Floats = npt.NDArray[np.float32]
_LAYER = re.compile(rb"\x01[\x04-\x07](con_4|affine_|fc_2)")
_TENSOR_VERSION = 2


@dataclass(frozen=True)
class Weights:
    """The trained numbers of the network."""

    convolutions: list[tuple[Floats, Floats]]
    """Weights [out, in, side, side] and biases [out], in the order of running."""
    matrix: Floats
    """[channels, 128]: from the averaged last channels to the embedding; no bias."""


def read_weights(path: Path) -> Weights:
    """The weights of `dlib_face_recognition_resnet_model_v1.dat`. Raises ValueError for another file."""
    data = path.read_bytes()
    layers = [(match[1], _Reader(data, match.end())) for match in _LAYER.finditer(data)]
    if [name for name, _ in layers] != [b"con_4", b"affine_"] * CONVOLUTIONS + [b"fc_2"]:
        raise ValueError(f"{path} holds another network than dlib's face ResNet.")
    readers = [reader for _, reader in layers]
    *convolutions, last = readers
    return Weights(list(_folded(convolutions[::2], convolutions[1::2])), _matrix(last))


class _Reader:
    """A place in dlib's file."""

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
            raise ValueError(f"a tensor of dlib's version {version}; known is {_TENSOR_VERSION}")
        return np.frombuffer(self._data, "<f4", int(np.prod(sizes)), self._offset).reshape(sizes)


def _folded(convolutions: list[_Reader], affines: list[_Reader]) -> Iterator[tuple[Floats, Floats]]:
    """Each convolution with its affine layer: scale * (weights x + bias) + shift."""
    channels = 3
    for convolution, affine in zip(convolutions, affines, strict=True):
        scale, shift = np.split(affine.tensor().ravel(), 2)
        numbers = convolution.tensor().ravel()
        weights = numbers[: -len(scale)].reshape(len(scale), channels, *_side(numbers, len(scale), channels))
        yield weights * scale[:, None, None, None], numbers[-len(scale) :] * scale + shift
        channels = len(scale)


def _side(numbers: Floats, out: int, channels: int) -> tuple[int, int]:
    side = round(np.sqrt((len(numbers) - out) / (out * channels)))
    return side, side


def _matrix(reader: _Reader) -> Floats:
    reader.integer()
    reader.integer()
    return reader.tensor()[:, :, 0, 0]
