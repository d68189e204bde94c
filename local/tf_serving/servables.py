"""The models that are served: which version answers a call."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc

from local.tf_serving.errors import Refused, invalid
from local.tf_serving.onnx_model import OnnxModel


class Servables:
    """The versions of one model."""

    def __init__(self, name: str, versions: Sequence[OnnxModel]) -> None:
        self.name = name
        self.versions = {model.version: model for model in versions}

    def find(self, spec: Any) -> OnnxModel:
        """The version that a ModelSpec asks for. Raises Refused.

        Texts: `ServerCore::ServableRequestFromModelSpec` in model_servers/server_core.cc,
        `BasicManager::ServingMap::GetUntypedServableHandle` in core/basic_manager.cc and
        `ServableRequest::DebugString` in core/manager.h.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        choice = spec.WhichOneof("version_choice")
        if choice == "version_label":
            raise invalid(f"Unrecognized servable version label: {spec.version_label}")
        version = spec.version.value if choice else max(self.versions)
        if spec.name != self.name or version not in self.versions:
            asked = f"Specific({spec.name}, {version})" if choice else f"Latest({spec.name})"
            raise Refused(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {asked}")
        return self.versions[version]


def load_newest(base: Path, name: str, threads: int) -> Servables:
    """Loads BASE/<highest number>/model.onnx. Raises FileNotFoundError where there is none."""
    numbers = [int(path.parent.name) for path in base.glob("*/model.onnx") if path.parent.name.isdecimal()]
    if not numbers:
        raise FileNotFoundError(f"{base} has no <version>/model.onnx, with a number as version")
    newest = max(numbers)
    return Servables(name, [OnnxModel(newest, base / str(newest) / "model.onnx", threads)])
