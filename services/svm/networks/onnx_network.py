"""A network from an ONNX file, which sees faces aligned by five points."""

import hashlib
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from services.runtime.errors import Misconfigured
from services.runtime.images.faces import Face
from services.runtime.images.image import Pixels
from services.runtime.images.session import session_of
from services.runtime.storage.files import file_at
from services.svm.faces.alignment import DlibAlignment
from services.svm.networks.dlib_resnet import DlibResNet
from services.svm.networks.manifest import Manifest, manifest_of
from services.svm.networks.network import Embedder, Network, NetworkId, Vector

DLIB_SETTING = "dlib"
_PREFIX = "onnx:"
_MAX_BYTES = 1 << 30
_MANIFEST_BYTES = 64 * 1024
Points = npt.NDArray[np.float64]


def embedder_of(setting: str, endpoint_url: str | None = None) -> Embedder:
    """Return the network of a setting: "dlib", or "onnx:" and a path, file:///PATH or s3://BUCKET/KEY.

    An ONNX file is read, checked and run once; its manifest is the file of the same name with .json appended. Raises
    Misconfigured or DependencyUnavailable.
    """
    if setting == DLIB_SETTING:
        return DlibResNet()
    if not setting.startswith(_PREFIX):
        raise Misconfigured(f"{setting} is neither {DLIB_SETTING} nor {_PREFIX} and the address of an ONNX file.")
    source = setting.removeprefix(_PREFIX)
    manifest = manifest_of(_read(f"{source}.json", "manifest", _MANIFEST_BYTES, endpoint_url), f"{source}.json")
    return OnnxNetwork(_read(source, "network", _MAX_BYTES, endpoint_url), manifest, source)


def _read(source: str, name: str, max_bytes: int, endpoint_url: str | None) -> bytes:
    file = file_at(source, endpoint_url, name=name, hint="See docs/faces.md.", max_bytes=max_bytes)
    content, mark = file.read()
    if not mark:
        raise file.missing()
    return content


class OnnxNetwork:
    """An ONNX network as its manifest describes it. Thread-safe, in parallel."""

    def __init__(self, content: bytes, manifest: Manifest, source: str) -> None:
        """Check the file against the manifest and run it once; `source` names it. Raises Misconfigured."""
        self.network = Network(
            id=NetworkId(manifest.name, manifest.version),
            length=manifest.length,
            metric=manifest.metric,
            distance=manifest.distance,
            evidence_group=manifest.evidence_group,
            aligner="points",
        )
        self._manifest = manifest
        self._mean, self._scale = np.array(manifest.mean, np.float32), np.array(manifest.scale, np.float32)
        self._dlib = DlibAlignment()
        try:
            _check_sha256(content, manifest)
            self._session = session_of(content)
            self._input = _input(self._session, manifest)
            self._run(np.zeros((manifest.height, manifest.width, 3), np.uint8))
        except Exception as exc:
            # Whatever a damaged or foreign file makes onnxruntime stumble over.
            reason = " ".join(str(exc).split()).rstrip(".")
            raise Misconfigured(f"The network {source}, by its manifest {source}.json, is wrong: {reason}.") from exc

    def embed(self, pixels: Pixels, face: Face) -> Vector:
        """Return the vector [length] of a face in an RGB picture; of length 1 if the metric is cosine."""
        size = (self._manifest.width, self._manifest.height)
        chip = cv2.warpAffine(pixels, self._alignment(pixels, face), size)
        vector = np.asarray(self._run(np.asarray(chip, np.uint8)), np.float64)
        return vector if self.network.metric == "l2" else self._normalized(vector)

    def _normalized(self, vector: Vector) -> Vector:
        length = float(np.linalg.norm(vector))
        if not length:
            raise Misconfigured(f"The network {self.network.id} embedded a face as zeros, which no cosine compares.")
        return vector / length

    def _alignment(self, pixels: Pixels, face: Face) -> Points:
        template = np.array(self._manifest.template)
        if face.points:
            return similarity(np.array(face.points), template)
        corners = self._dlib.landmarks(pixels, face)  # first the eye on the picture's right: the person's left
        return similarity(np.array([corners[2:4].mean(axis=0), corners[0:2].mean(axis=0)]), template[:2])

    def _run(self, chip: Pixels) -> npt.NDArray[np.float32]:
        """Return the vector of an RGB chip [height, width, 3]."""
        colours = chip if self._manifest.colour_order == "rgb" else chip[:, :, ::-1]
        pixels = (colours.astype(np.float32) - self._mean) * self._scale
        image = pixels if self._manifest.layout == "nhwc" else pixels.transpose(2, 0, 1)
        (vectors,) = self._session.run(None, {self._input: np.ascontiguousarray(image[np.newaxis])})
        if vectors.shape != (1, self.network.length) or not np.isfinite(vectors).all():
            raise ValueError(f"its output is {list(vectors.shape)}, or not finite, not [1, {self.network.length}]")
        return np.asarray(vectors[0])


def similarity(points: Points, template: Points) -> Points:
    """Return the matrix [2, 3] that turns, scales and moves the points [n, 2] nearest to the template's (Umeyama).

    As complex numbers: the least squares of a * point + b over a and b.
    """
    source, target = (each[:, 0] + 1j * each[:, 1] for each in (points, template))
    centred = source - source.mean()
    a = np.vdot(centred, target - target.mean()) / max(np.vdot(centred, centred).real, 1e-9)
    b = target.mean() - a * source.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def _check_sha256(content: bytes, manifest: Manifest) -> None:
    digest = hashlib.sha256(content).hexdigest()
    if manifest.sha256 not in (None, digest):
        raise ValueError(f"sha256: the file's is {digest}")


def _input(session: Any, manifest: Manifest) -> str:
    """Return the name of the one input, after checking that it takes one image."""
    inputs, size = session.get_inputs(), [manifest.height, manifest.width]
    if len(inputs) != 1 or len(session.get_outputs()) != 1:
        raise ValueError(f"it has {len(inputs)} inputs and {len(session.get_outputs())} outputs, not one of each")
    shape = [1, 3, *size] if manifest.layout == "nchw" else [1, *size, 3]
    fits = [want == has or not isinstance(has, int) for want, has in zip(shape, inputs[0].shape, strict=False)]
    if inputs[0].type != "tensor(float)" or len(inputs[0].shape) != len(shape) or not all(fits):
        raise ValueError(f"its input is {inputs[0].type} {inputs[0].shape}, not tensor(float) {shape}")
    return str(inputs[0].name)
