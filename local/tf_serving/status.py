"""ModelService: GetModelStatus. Rules and texts: model_servers/get_model_status_impl.cc in TensorFlow Serving."""

from collections.abc import Mapping
from typing import Any

import grpc
from google.rpc import code_pb2

from local.tf_serving.errors import Refused, invalid, refusals
from local.tf_serving.servables import Servables, Version
from local.tf_serving.status_messages import SERVICE, get_model_status_pb2


class ModelService:
    """Tells which versions are served."""

    def __init__(self, servables: Servables) -> None:
        self._servables = servables

    def add_to(self, server: grpc.aio.Server) -> None:
        """Does what generated code would."""
        method = grpc.unary_unary_rpc_method_handler(
            self.GetModelStatus,
            request_deserializer=get_model_status_pb2.GetModelStatusRequest.FromString,
            response_serializer=get_model_status_pb2.GetModelStatusResponse.SerializeToString,
        )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"GetModelStatus": method}),))

    async def GetModelStatus(  # noqa: N802 - the API's name
        self, request: Any, context: grpc.aio.ServicerContext[Any, Any]
    ) -> Any:
        """The state of one version, or of all where none is named."""
        async with refusals(context):
            if not request.HasField("model_spec"):
                raise invalid("Missing ModelSpec")
            return model_status(request.model_spec, self._servables)


def model_status(spec: Any, servables: Servables) -> Any:
    """The GetModelStatusResponse for a ModelSpec. Raises Refused. A label is not looked at, as there."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for number, version in sorted(_versions(spec, servables).items()):
        status = response.model_version_status.add(version=number, state=version.state)
        status.status.error_code = code_pb2.UNKNOWN if version.problem else code_pb2.OK
        status.status.error_message = version.problem
        status.status.SetInParent()
    return response


def _versions(spec: Any, servables: Servables) -> Mapping[int, Version]:
    known = servables.versions(spec.name)
    if spec.HasField("version"):
        number = spec.version.value
        if number not in known:
            raise _not_found(f"Could not find version {number} of model {spec.name}")
        return {number: known[number]}
    if not known:
        raise _not_found(f"Could not find any versions of model {spec.name}")
    return known


def _not_found(text: str) -> Refused:
    return Refused(grpc.StatusCode.NOT_FOUND, text)
