"""gRPC reflection, so that grpcurl, ghz and the like need no protos. Served as v1 and as v1alpha."""

from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc


def add_reflection(server: grpc.aio.Server, services: Sequence[str]) -> None:
    """Lets the server tell of its services, by their full names."""
    servicer = reflection.aio.ReflectionServicer((*services, reflection.SERVICE_NAME), pool=_Pool())
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)
    info = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    # v1's messages are v1alpha's under another name, and grpcio-reflection has v1alpha's alone
    v1 = grpc.method_handlers_generic_handler("grpc.reflection.v1.ServerReflection", {"ServerReflectionInfo": info})
    server.add_generic_rpc_handlers((v1,))


class _Pool:
    """protobuf's pool, which does not know to which file a service's method belongs; ghz asks for that."""

    def __init__(self) -> None:
        self._pool = descriptor_pool.Default()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802 - the pool's name
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            service, _, method = symbol.rpartition(".")
            found = self._pool.FindServiceByName(service)
            return found.methods_by_name[method].containing_service.file
