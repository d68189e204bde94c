"""ModelService: GetModelStatus. Rules and texts: model_servers/get_model_status_impl.cc in TensorFlow Serving."""

from typing import Any

import grpc

from local.tf_serving.errors import Refused, invalid, refusals
from local.tf_serving.servables import Servables
from local.tf_serving.status_messages import SERVICE, get_model_status_pb2

_AVAILABLE = get_model_status_pb2.ModelVersionStatus.AVAILABLE


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
            response = get_model_status_pb2.GetModelStatusResponse()
            for version in self._versions(request.model_spec):
                status = response.model_version_status.add(version=version, state=_AVAILABLE)
                status.status.SetInParent()
            return response

    def _versions(self, spec: Any) -> list[int]:
        served = sorted(self._servables.versions) if spec.name == self._servables.name else []
        if spec.HasField("version"):
            if spec.version.value not in served:
                raise _not_found(f"Could not find version {spec.version.value} of model {spec.name}")
            return [spec.version.value]
        if not served:
            raise _not_found(f"Could not find any versions of model {spec.name}")
        return served


def _not_found(text: str) -> Refused:
    return Refused(grpc.StatusCode.NOT_FOUND, text)
