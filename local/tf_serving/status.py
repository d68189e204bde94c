"""ModelService: GetModelStatus. Rules and texts: model_servers/get_model_status_impl.cc in TensorFlow Serving."""

from collections.abc import Mapping
from typing import Any

import grpc
from google.rpc import code_pb2

from local.tf_serving.errors import Refusal, abort_on_refusal, invalid
from local.tf_serving.messages.model_service_pb2 import GetModelStatusRequest, GetModelStatusResponse
from local.tf_serving.messages.model_service_pb2_grpc import ModelServiceServicer
from local.tf_serving.servables import Servables, Version


class ModelService(ModelServiceServicer):
    """The service as gRPC calls it."""

    def __init__(self, servables: Servables) -> None:
        self._servables = servables

    async def GetModelStatus(  # noqa: N802 - the API's name
        self, request: GetModelStatusRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> GetModelStatusResponse:
        """Return the state of the version that is named, or of all."""
        async with abort_on_refusal(context):
            if not request.HasField("model_spec"):
                raise invalid("Missing ModelSpec")
            return model_status(request.model_spec, self._servables)


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
