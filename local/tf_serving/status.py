"""ModelService: the states of models, and the change of the config.

Rules and texts: model_servers/get_model_status_impl.cc, model_service_impl.cc:44-82 and server_core.cc:328-365 in
TensorFlow Serving.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import grpc
from google.rpc import code_pb2

from local.tf_serving.errors import Refusal, abort_on_refusal, invalid
from local.tf_serving.messages.config_pb2 import ModelServerConfig
from local.tf_serving.messages.model_service_pb2 import (
    GetModelStatusRequest,
    GetModelStatusResponse,
    ReloadConfigRequest,
    ReloadConfigResponse,
)
from local.tf_serving.messages.model_service_pb2_grpc import ModelServiceServicer
from local.tf_serving.options import ServerOptions
from local.tf_serving.servables import Servables, Version
from local.tf_serving.source import Source

_POLL_SECONDS = 0.05


class ModelService(ModelServiceServicer):
    """The service as gRPC calls it."""

    def __init__(self, servables: Servables, source: Source, options: ServerOptions) -> None:
        self._servables = servables
        self._source = source
        self._allow_unavailable_labels = options.allow_unavailable_labels

    async def GetModelStatus(  # noqa: N802 - the API's name
        self, request: GetModelStatusRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> GetModelStatusResponse:
        """Return the state of the version that is named, or of all."""
        async with abort_on_refusal(context):
            if not request.HasField("model_spec"):
                raise invalid("Missing ModelSpec")
            return model_status(request.model_spec, self._servables)

    async def HandleReloadConfigRequest(  # noqa: N802 - the API's name
        self, request: ReloadConfigRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> ReloadConfigResponse:
        """Take over the config, and wait until its new models are available."""
        async with abort_on_refusal(context):
            if not request.config.HasField("model_config_list"):
                raise invalid(
                    "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                    "Only ModelConfigList is currently supported"
                )
            await self.reload(request.config)
            response = ReloadConfigResponse()
            response.status.SetInParent()
            for name in request.metric_names:
                response.metric.add(name=name, int64_value_increase=0)
            return response

    async def reload(self, config: ModelServerConfig) -> None:
        """Take over the config, and wait until its new models are available. Raises Refusal."""
        new = await asyncio.to_thread(self._source.accept, config, allow_unavailable=self._allow_unavailable_labels)
        try:
            await asyncio.to_thread(self._source.poll)
        except OSError as exc:
            raise invalid(str(exc)) from exc
        while missing := [name for name in new if not self._servables.available(name)]:
            if problems := [problem for name in missing for problem in self._problems(name)]:
                text = f"{len(missing)} model(s) did not become available: {{{', '.join(problems)}}}"
                raise Refusal(grpc.StatusCode.UNKNOWN, text)
            await asyncio.sleep(_POLL_SECONDS)

    def _problems(self, name: str) -> list[str]:
        versions = self._servables.versions(name).items()
        return [
            f"{{name: {name} version: {number}}} due to error: {version.problem}"
            for number, version in versions
            if version.problem
        ]


def model_status(spec: Any, servables: Servables) -> GetModelStatusResponse:
    """Return the response for a ModelSpec; a label is ignored, as in TensorFlow Serving. Raises Refusal."""
    response = GetModelStatusResponse()
    for number, version in sorted(_versions(spec, servables).items()):
        status = response.model_version_status.add(version=number, state=version.state)
        status.status.error_code = code_pb2.UNKNOWN if version.problem else code_pb2.OK
        status.status.error_message = version.problem
        status.status.SetInParent()
    return response


def _versions(spec: Any, servables: Servables) -> Mapping[int, Version]:
    versions = servables.versions(spec.name)
    if spec.HasField("version"):
        number = spec.version.value
        if number not in versions:
            raise _not_found(f"Could not find version {number} of model {spec.name}")
        return {number: versions[number]}
    if not versions:
        raise _not_found(f"Could not find any versions of model {spec.name}")
    return versions


def _not_found(text: str) -> Refusal:
    return Refusal(grpc.StatusCode.NOT_FOUND, text)
