"""gRPC server reflection, as v1 and as v1alpha, so that grpcurl, ghz and the like need no protos."""

import contextlib
from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from services.runtime.server import health


def add(server: grpc.aio.Server, services: Sequence[str]) -> None:
    """Serve reflection of the services, by full name."""
    servicer = reflection.aio.ReflectionServicer((*services, reflection.SERVICE_NAME), pool=_DescriptorPool())
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)
    info = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    # grpcio-reflection has only v1alpha; the messages of v1 are the same
    v1 = grpc.method_handlers_generic_handler("grpc.reflection.v1.ServerReflection", {"ServerReflectionInfo": info})
    server.add_generic_rpc_handlers((v1,))


class _DescriptorPool:
    """protobuf's pool, but with the whole health service, and with the files of methods, which ghz asks for."""

    def __init__(self) -> None:
        self._pool = descriptor_pool.Default()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileByName(self, name: str) -> FileDescriptor:  # noqa: N802 - the pool's name
        try:
            return health.POOL.FindFileByName(name)
        except KeyError:
            return self._pool.FindFileByName(name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802 - the pool's name
        for pool in (health.POOL, self._pool):
            with contextlib.suppress(KeyError):
                return pool.FindFileContainingSymbol(symbol)
            service, _, method = symbol.rpartition(".")
            with contextlib.suppress(KeyError):
                return pool.FindServiceByName(service).methods_by_name[method].containing_service.file
        raise KeyError(symbol)
