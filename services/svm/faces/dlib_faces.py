"""dlib's models of faces: HOG detector, 5-point landmarks, and the 128-d ResNet, which runs in onnxruntime.

The weights come from the package face-recognition-models, located without importing it: its own module
needs pkg_resources. Its 68-point landmarks are not free for commercial use and are not read.
"""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dlib
import numpy as np
import numpy.typing as npt

from services.runtime.images.image import Pixels

NETWORK = "dlib-resnet-v1"
"""Evidence group of models built on this embedding."""
WEIGHTS = "dlib_face_recognition_resnet_model_v1.dat"
SIDE = 150
"""Pixels of a chip, the aligned square picture of a face."""
LENGTH = 128
"""Numbers of an embedding."""
CONVOLUTIONS = 29

Floats = npt.NDArray[np.float32]
_GRAPH = Path(__file__).with_name("resnet.onnx")
_LAYER = re.compile(rb"\x01[\x04-\x07](con_4|affine_|fc_2)")
_TENSOR_VERSION = 2


@dataclass(frozen=True)
class DetectedFace:
    """A face in pixels of the picture it was found in; it may reach past the picture's edges."""

    left: int
    top: int
    width: int
    height: int
    score: float
    """The detector's own: above 0, about 1 for a clear frontal face, not a probability."""


class DlibFaces:
    """Detector and landmarks, loaded at first use. Thread-safe, one call at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def detect(self, pixels: Pixels, upsample: int = 0, min_score: float = 0.0) -> list[DetectedFace]:
        """Return upright faces of about 80 pixels and more (40 when upsampled once), from left to right."""
        with self._lock:
            boxes, scores, _ = self._detector.run(pixels, upsample, min_score)
        faces = [
            DetectedFace(box.left(), box.top(), box.width(), box.height(), score)
            for box, score in zip(boxes, scores, strict=True)
        ]
        return sorted(faces, key=lambda face: (face.left, face.top))

    def landmarks(self, pixels: Pixels, face: DetectedFace) -> npt.NDArray[np.int64]:
        """Return five points as [5, 2] pixels (x, y): right eye's outer and inner corner, left eye's, nose."""
        with self._lock:
            shape = self._shape(pixels, face)
        return np.array([(point.x, point.y) for point in shape.parts()])

    def chip(self, pixels: Pixels, face: DetectedFace) -> Pixels:
        """Return the face turned upright and sized by its landmarks: [150, 150, 3], the ResNet's input."""
        with self._lock:
            return np.asarray(dlib.get_face_chip(pixels, self._shape(pixels, face), SIDE, 0.25), dtype=np.uint8)

    def embed(self, pixels: Pixels, face: DetectedFace) -> npt.NDArray[np.float64]:
        """Return dlib's own embedding [128]; two pictures of one person are mostly less than 0.6 apart (L2)."""
        with self._lock:
            return np.array(self._network.compute_face_descriptor(pixels, self._shape(pixels, face)))

    def _shape(self, pixels: Pixels, face: DetectedFace) -> Any:
        right, bottom = face.left + face.width - 1, face.top + face.height - 1
        return self._predictor(pixels, dlib.rectangle(face.left, face.top, right, bottom))

    @cached_property
    def _detector(self) -> Any:
        return dlib.get_frontal_face_detector()

    @cached_property
    def _predictor(self) -> Any:
        return dlib.shape_predictor(str(weights("shape_predictor_5_face_landmarks.dat")))

    @cached_property
    def _network(self) -> Any:
        return dlib.face_recognition_model_v1(str(weights(WEIGHTS)))


class ResNet:
    """dlib's face ResNet in onnxruntime: dlib's own numbers in a tenth of the time. Thread-safe, in parallel.

    The graph is a file of 9 KB beside this one (see resnet_graph), and the weights are read from dlib's file at
    every start, so no second copy of 22 MB lies anywhere and no server needs the package onnx.
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime  # noqa: PLC0415 - 1 s and 32 MiB that the other recipes do not pay

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # it would keep the most that any call ever needed, for each thread
        self._initializers = read_weights(path).initializers()  # the session may go on reading these very arrays
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in self._initializers.values()]
        options.add_external_initializers(list(self._initializers), values)
        self._session = onnxruntime.InferenceSession(_GRAPH.read_bytes(), options)

    def embed(self, chips: Pixels) -> Floats:
        """Return the embeddings [faces, 128] of RGB chips [faces, 150, 150, 3]."""
        (embeddings,) = self._session.run(None, {"chips": chips})
        return np.asarray(embeddings, np.float32)


def weights(name: str) -> Path:
    """Return the path of a weights file in the package face-recognition-models."""
    spec = find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"{name}: install the package face-recognition-models")
    return Path(spec.submodule_search_locations[0]) / "models" / name


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


def read_weights(path: Path) -> Weights:
    """Read `dlib_face_recognition_resnet_model_v1.dat`. Raise ValueError for another file.

    The format is that of dlib's serialize: an integer has its length in the low bits and its sign in the top bit
    of a first byte; a tensor is a version, four sizes and float32 values. Layers follow each other in the order
    of running. The network is dlib's `anet_type`: every convolution is followed by a scale and a shift for each
    of its channels ("affine"), which are folded into its weights here.
    """
    data = path.read_bytes()
    layers = [(match[1], _Reader(data, match.end())) for match in _LAYER.finditer(data)]
    if [name for name, _ in layers] != [b"con_4", b"affine_"] * CONVOLUTIONS + [b"fc_2"]:
        raise ValueError(f"{path} holds another network than dlib's face ResNet.")
    readers = [reader for _, reader in layers]
    *convolutions, last = readers
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
