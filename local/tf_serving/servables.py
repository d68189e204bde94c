"""What is served: the versions of each model, their states and labels."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import grpc

from local.tf_serving.errors import Refused, invalid
from local.tf_serving.models.model import Model
from local.tf_serving.status_messages import get_model_status_pb2

State = get_model_status_pb2.ModelVersionStatus


@dataclass(frozen=True)
class Version:
    """One version of a model, from the first moment that the server knows it."""

    state: int
    """A `State`."""
    model: Model | None = None
    """Only while AVAILABLE."""
    problem: str = ""
    """Why it is at its END without having been asked to go."""


class Servables:
    """Changed by one thread, read by many: what `versions` gives is never changed."""

    def __init__(self) -> None:
        self._versions: dict[str, Mapping[int, Version]] = {}
        self._labels: dict[str, Mapping[str, int]] = {}

    def versions(self, name: str) -> Mapping[int, Version]:
        """All versions ever served of a model; none where it is not known."""
        return self._versions.get(name, {})

    def available(self, name: str) -> dict[int, Model]:
        """The versions that answer calls."""
        return {number: version.model for number, version in self.versions(name).items() if version.model}

    def set(self, name: str, number: int, version: Version) -> None:
        """A version has come into another state."""
        self._versions[name] = {**self.versions(name), number: version}

    def end(self, name: str, number: int) -> None:
        """Takes a version out of service; calls that run end well."""
        self.set(name, number, replace(self.versions(name)[number], state=State.END, model=None))

    def label(self, name: str, labels: Mapping[str, int], *, allow_unavailable: bool) -> None:
        """Names versions. Raises Refused as `ServerCore::UpdateModelVersionLabelMap` in server_core.cc does."""
        for number in labels.values():
            if number not in self.available(name) and not allow_unavailable:
                raise Refused(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    f"Request to assign label to version {number} of model {name}, "
                    "which is not currently available for inference",
                )
        self._labels[name] = dict(labels)

    def find(self, spec: Any) -> tuple[int, Model]:
        """The version that a ModelSpec asks for. Raises Refused.

        Texts: `ServerCore::ServableRequestFromModelSpec` in model_servers/server_core.cc,
        `BasicManager::ServingMap::GetUntypedServableHandle` in core/basic_manager.cc and
        `ServableRequest::DebugString` in core/manager.h.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        number, available = self._number(spec), self.available(spec.name)
        chosen = max(available, default=-1) if number is None else number
        if chosen not in available:
            asked = f"Latest({spec.name})" if number is None else f"Specific({spec.name}, {number})"
            raise Refused(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {asked}")
        return chosen, available[chosen]

    def _number(self, spec: Any) -> int | None:
        choice = spec.WhichOneof("version_choice")
        if choice == "version_label":
            labels = self._labels.get(spec.name, {})
            if spec.version_label not in labels:
                raise invalid(f"Unrecognized servable version label: {spec.version_label}")
            return labels[spec.version_label]
        return int(spec.version.value) if choice else None
