"""gRPC health checking, with liveness and readiness apart.

Source: https://github.com/grpc/grpc-proto/blob/master/grpc/health/v1/health.proto
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeAlias

import grpc
import structlog
from google.protobuf import descriptor_pool, message_factory, text_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.rpc import code_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.runtime.bounds.limit import MAX_NAME
from services.runtime.errors import InvalidRequest, Overloaded
from services.runtime.server.calls import Context
from services.runtime.status import StatusError

logger = structlog.get_logger()
SERVICE = "grpc.health.v1.Health"
LIVENESS = "liveness"
"""SERVING from the start: a server that loads or drains must not be restarted."""
READINESS = ("", "readiness")
"""NOT_SERVING until the model is loaded, and while draining; so is every service by its full name."""
_POLL_SECONDS = 0.5
_MAX_WATCHES = 1000
"""Maximum number of watches at a time. Each lasts as long as its caller wants, and has 20 KiB of memory."""
_Status = health_pb2.HealthCheckResponse
_Statuses: TypeAlias = "dict[str, health_pb2.HealthCheckResponse.ServingStatus.ValueType]"


class Health:
    """The health service of one server: alive from the start, ready while `follow` says so."""

    def __init__(self, servers: Sequence[grpc.aio.Server], services: Sequence[str]) -> None:
        self._readiness = (*READINESS, *services)
        self._servicer = _Servicer({LIVENESS: _Status.SERVING} | dict.fromkeys(self._readiness, _Status.NOT_SERVING))
        health_list = grpc.unary_unary_rpc_method_handler(
            self._servicer.List, _ListRequest.FromString, _ListResponse.SerializeToString
        )
        for server in servers:
            health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"List": health_list}),))

    async def follow(self, is_ready: Callable[[], bool], stop: asyncio.Event) -> None:
        """Report readiness until `stop` is set, and NOT_SERVING from then on."""
        was_ready = None
        while not stop.is_set():
            ready = is_ready()
            if ready is not was_ready:
                self._set_readiness(_Status.SERVING if ready else _Status.NOT_SERVING)
                logger.info("serving" if ready else "not serving")
            was_ready = ready
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _POLL_SECONDS)
        self._set_readiness(_Status.NOT_SERVING)

    def close(self) -> None:
        """End all watches: each would delay the server's end for as long as calls may drain."""
        self._servicer.close()

    def _set_readiness(self, status: "health_pb2.HealthCheckResponse.ServingStatus.ValueType") -> None:
        self._servicer.update(dict.fromkeys(self._readiness, status))


class _Servicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc] # gRPC publishes no types for it
    """The service over `statuses`, by name.

    Not the package's own: that lacks List, and when one of several watches of a name ends, the others hear no more.
    """

    def __init__(self, statuses: _Statuses) -> None:
        self.statuses = statuses
        self._changed = asyncio.Event()
        self._closed = False
        self._watches = 0

    def update(self, statuses: _Statuses) -> None:
        self.statuses |= statuses
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def close(self) -> None:
        self._closed = True
        self.update({})

    async def Check(  # noqa: N802 - gRPC's name
        self,
        request: health_pb2.HealthCheckRequest,
        context: Context,  # noqa: ARG002 - gRPC's signature
    ) -> health_pb2.HealthCheckResponse:
        """Return the status of the name. Raises InvalidRequest, StatusError with NOT_FOUND."""
        _check_name(request.service)
        if request.service not in self.statuses:
            names = ", ".join(filter(None, self.statuses))
            message = f"No health is kept under this name. Names: {names}."
            raise StatusError(status_pb2.Status(code=code_pb2.NOT_FOUND, message=message))
        return health_pb2.HealthCheckResponse(status=self.statuses[request.service])

    async def List(self, request: Any, context: Context) -> Any:  # noqa: ARG002, N802 - gRPC's signature
        """Return the status of every name."""
        response = _ListResponse()
        for name, status in self.statuses.items():
            response.statuses[name].status = status
        return response

    async def Watch(  # noqa: N802 - gRPC's name
        self,
        request: health_pb2.HealthCheckRequest,
        context: Context,  # noqa: ARG002 - gRPC's signature
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Yield the status of the name, SERVICE_UNKNOWN if there is none, now and whenever it changes.

        Raises InvalidRequest, Overloaded.
        """
        _check_name(request.service)
        if self._watches >= _MAX_WATCHES:
            raise Overloaded(f"The server has {_MAX_WATCHES} watches, the limit. Try again later.")
        self._watches += 1
        try:
            async for status in self._follow(request.service):
                yield health_pb2.HealthCheckResponse(status=status)
        finally:
            self._watches -= 1

    async def _follow(self, name: str) -> "AsyncIterator[health_pb2.HealthCheckResponse.ServingStatus.ValueType]":
        last = None
        while True:
            changed = self._changed
            status = self.statuses.get(name, _Status.SERVICE_UNKNOWN)
            if status != last:
                yield status
                last = status
            elif self._closed:
                return
            else:
                await changed.wait()


def _check_name(name: str) -> None:
    """Raise InvalidRequest for a long name: a watch keeps it."""
    if len(name) > MAX_NAME:
        raise InvalidRequest(f"service has {len(name)} characters; the limit is {MAX_NAME}.", field="service")


def _file() -> FileDescriptorProto:
    """Return health.proto with List, which the releases of grpcio-health-checking for protobuf 6 lack."""
    file = FileDescriptorProto()
    health_pb2.DESCRIPTOR.CopyToProto(file)
    if "List" not in health_pb2.DESCRIPTOR.services_by_name["Health"].methods_by_name:
        text_format.Merge(_LIST_MESSAGES, file)
        file.service[0].method.add(
            name="List",
            input_type=".grpc.health.v1.HealthListRequest",
            output_type=".grpc.health.v1.HealthListResponse",
        )
    return file


_LIST_MESSAGES = """
message_type { name: "HealthListRequest" }
message_type {
  name: "HealthListResponse"
  field {
    name: "statuses"
    number: 1
    label: LABEL_REPEATED
    type_name: ".grpc.health.v1.HealthListResponse.StatusesEntry"
  }
  nested_type {
    name: "StatusesEntry"
    field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
    field { name: "value" number: 2 label: LABEL_OPTIONAL type_name: ".grpc.health.v1.HealthCheckResponse" }
    options { map_entry: true }
  }
}
"""
POOL = descriptor_pool.DescriptorPool()
"""Describes the service, List included, to reflection."""
POOL.Add(_file())
_ListRequest: Any = message_factory.GetMessageClass(POOL.FindMessageTypeByName("grpc.health.v1.HealthListRequest"))
_ListResponse: Any = message_factory.GetMessageClass(POOL.FindMessageTypeByName("grpc.health.v1.HealthListResponse"))
