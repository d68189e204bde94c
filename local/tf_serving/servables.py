"""The versions of each model, with their states and labels."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import grpc

from local.tf_serving.errors import Refusal, invalid
from local.tf_serving.messages.model_service_pb2 import ModelVersionStatus
from local.tf_serving.models.model import Model

State = ModelVersionStatus.State


@dataclass(frozen=True)
class Version:
    """One version of a model, from its discovery on."""

    state: ModelVersionStatus.State.ValueType
    model: Model | None = None
    """Only while AVAILABLE."""
    problem: str = ""
    """Why it could not be loaded."""


class Servables:
    """All models. Written by one thread, read by many: the mappings that `versions` returns never change."""

    def __init__(self) -> None:
        self._versions: dict[str, Mapping[int, Version]] = {}
        self._labels: dict[str, Mapping[str, int]] = {}

    def versions(self, name: str) -> Mapping[int, Version]:
        """Return all versions of a model, served now or before; none for an unknown model."""
        return self._versions.get(name, {})

    def available(self, name: str) -> dict[int, Model]:
        """Return the models of the AVAILABLE versions."""
        return {number: version.model for number, version in self.versions(name).items() if version.model}

    def set(self, name: str, number: int, version: Version) -> None:
        """Set a version's state."""
        self._versions[name] = {**self.versions(name), number: version}

    def end(self, name: str, number: int) -> None:
        """Take a version out of service; running calls complete."""
        self.set(name, number, replace(self.versions(name)[number], state=State.END, model=None))

    def label(self, labels: Mapping[str, Mapping[str, int]], *, allow_unavailable: bool) -> None:
        """Replace all labels, by model. Raises Refusal, and changes nothing, if a version is not available.

        `allow_unavailable` is for new labels only: a label is never moved to such a version. Source:
        `ServerCore::UpdateModelVersionLabelMap` (server_core.cc:549-614).
        """
        for name, numbers in labels.items():
            for label, number in numbers.items():
                moved = self._labels.get(name, {}).get(label, number) != number
                if number not in self.available(name) and (moved or not allow_unavailable):
                    raise Refusal(
                        grpc.StatusCode.FAILED_PRECONDITION,
                        f"Request to assign label to version {number} of model {name}, "
                        "which is not currently available for inference",
                    )
        self._labels = {name: dict(numbers) for name, numbers in labels.items()}

    def find(self, spec: Any) -> tuple[int, Model]:
        """Return the number and model of the version that a ModelSpec names. Raises Refusal.

        Texts: `ServerCore::ServableRequestFromModelSpec` in model_servers/server_core.cc,
        `BasicManager::ServingMap::GetUntypedServableHandle` in core/basic_manager.cc and
        `ServableRequest::DebugString` in core/manager.h.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        number, available = self._number(spec), self.available(spec.name)
        chosen = max(available, default=-1) if number is None else number
        if chosen not in available:
            request = f"Latest({spec.name})" if number is None else f"Specific({spec.name}, {number})"
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {request}")
        return chosen, available[chosen]

    def _number(self, spec: Any) -> int | None:
        choice = spec.WhichOneof("version_choice")
        if choice == "version_label":
            labels = self._labels.get(spec.name, {})
            if spec.version_label not in labels:
                raise invalid(f"Unrecognized servable version label: {spec.version_label}")
            return labels[spec.version_label]
        return int(spec.version.value) if choice else None
