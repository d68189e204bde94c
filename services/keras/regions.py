"""The regions of a picture that the network takes. Blocks: call it in a worker thread."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from marquee.v1 import recognizer_pb2 as pb
from services.keras.assets import Assets, Detector
from services.keras.preprocess import fitted, to_input
from services.runtime.errors import Misconfigured
from services.runtime.images.image import Image, Pixels
from services.runtime.leaf.recognizer import check_one_face

if TYPE_CHECKING:  # the trainer does without TensorFlow Serving's messages, which load TensorFlow where it is installed
    from services.keras.serving.signature import Signature
    from services.runtime.images.detector import FaceDetector
    from services.runtime.images.faces import Detection, Face
    from services.runtime.images.haar import HaarFaces

_HAAR_SMALLEST = 0.05
"""Side of the smallest face that the Haar cascades find, as a share of the picture's longer side."""


@dataclass(frozen=True)
class Regions:
    """One picture as model input."""

    inputs: npt.NDArray[Any]
    """[N, height, width, channels]: the whole picture, or one face each; N may be 0."""
    faces: Sequence[pb.Face] | None
    """The faces' boxes and detection scores from left to right; None for the whole picture."""
    warnings: Sequence[str] = ()


class Cutter:
    """What cuts pictures into regions. Thread-safe, in parallel; a detector is loaded when a model first needs it."""

    def __init__(self, smallest_face: float = 0.02, *, turn: bool = True) -> None:
        """With YuNet, find faces of this share of the longer side, and, if `turn`, those in pictures on their sides."""
        self._smallest = smallest_face
        self._turn = turn

    def prepare(self, assets: Assets) -> None:
        """Load the face detector if the model needs one. Raises Misconfigured if it is not installed."""
        if assets.regions == "faces":
            self.load(assets.detector)

    def load(self, detector: Detector) -> None:
        """Load the face detector. Raises Misconfigured if it is not installed."""
        try:
            self._find(np.zeros((64, 64, 3), np.uint8), detector, math.inf)
        except ImportError as exc:
            raise _not_installed(f"{exc.name} is not installed") from exc
        except (OSError, ValueError) as exc:  # the weights are missing, or others
            raise _not_installed(str(exc)) from exc

    def smallest_face(self, assets: Assets) -> float | None:
        """Return the side of the smallest face found, as a share of the longer side; None for whole pictures."""
        if assets.regions == "image":
            return None
        return self._smallest if assets.detector == "yunet" else _HAAR_SMALLEST

    def cut(self, image: Image, signature: "Signature", assets: Assets, seconds: float = math.inf) -> Regions:
        """Return the stored picture, as Keras takes it, or the faces of the upright one. Raises InvalidImage.

        Looking for faces takes `seconds` at most, with a warning if these do not suffice for the small ones.
        """
        to_pixels = fitted(assets, signature.size, signature.channels)
        if assets.regions == "image":
            inputs = to_input(to_pixels(image.as_stored()), signature.dtype, assets.preprocessing)
            regions = Regions(inputs, None)
        else:
            detection = self._find(image.upright(), assets.detector, seconds)
            crops = [to_pixels(_crop(detection, face)) for face in detection.faces]
            pixels = np.concatenate([np.empty((0, *signature.size, signature.channels), np.uint8), *crops])
            faces = [pb.Face(box=detection.box(face), detection_score=face.score) for face in detection.faces]
            inputs = to_input(pixels, signature.dtype, assets.preprocessing)
            regions = Regions(inputs, faces, detection.warnings)
        _ = image.info  # the leaf needs it, and would need another thread to read it
        return regions

    def only_face(self, image: Image, detector: Detector) -> Pillow.Image:
        """Return the face of a picture to train on. Raises InvalidImage, NoFace or SeveralFaces."""
        detection = self._find(image.upright(), detector, math.inf)
        check_one_face(detection.faces)
        return _crop(detection, detection.faces[0])

    def _find(self, pixels: Pixels, detector: Detector, seconds: float) -> "Detection":
        from services.runtime.images.faces import Detection  # noqa: PLC0415 - it needs OpenCV

        if detector == "yunet":
            return _yunet(self._smallest, turn=self._turn).find(pixels, seconds)
        return Detection(pixels, _haar().find(pixels))


def _not_installed(what: str) -> Misconfigured:
    return Misconfigured(f"The model takes faces, but {what}: install the extra `keras-faces`.")


def _crop(detection: "Detection", face: "Face") -> Pillow.Image:
    """Return the face as the Haar cascades cut it out, which networks were trained on before there was YuNet."""
    return Pillow.fromarray(np.ascontiguousarray(face.framed("haar").crop(detection.pixels)))


@cache
def _yunet(smallest_face: float, *, turn: bool) -> "FaceDetector":
    from services.runtime.images.detector import FaceDetector  # noqa: PLC0415 - needs OpenCV and onnxruntime

    _use_one_thread()
    return FaceDetector(smallest_face, turn=turn)


@cache
def _haar() -> "HaarFaces":
    from services.runtime.images.haar import HaarFaces  # noqa: PLC0415 - needs OpenCV

    _use_one_thread()
    return HaarFaces()


def _use_one_thread() -> None:
    import cv2  # noqa: PLC0415 - 40 MiB that networks for whole pictures do without

    cv2.setNumThreads(1)  # the workers use the cores
