"""gRPC health checking, with liveness and readiness apart."""

import asyncio

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from services.runtime.server.calls import Context

LIVENESS = "liveness"
"""SERVING from the first moment: a server that is loading or draining must not be restarted."""
READINESS = ("", "readiness", "marquee.v1.RecognizerService")
"""SERVING while calls are welcome: NOT_SERVING until the model is loaded, and while draining."""
_Status = health_pb2.HealthCheckResponse


class Health:
    """The health service of one server."""

    def __init__(self, server: grpc.aio.Server) -> None:
        self._servicer = _Servicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def live(self) -> None:
        """The process is up and not ready yet."""
        await self._servicer.set(LIVENESS, _Status.SERVING)
        await self.unready()

    async def ready(self) -> None:
        """Calls are welcome."""
        for name in READINESS:
            await self._servicer.set(name, _Status.SERVING)

    async def unready(self) -> None:
        """Calls should go elsewhere."""
        for name in READINESS:
            await self._servicer.set(name, _Status.NOT_SERVING)

    def close(self) -> None:
        """Lets watchers go; without it each would hold up the server's end for as long as it may drain."""
        self._servicer.closing.set()


class _Servicer(health.aio.HealthServicer):  # type: ignore[misc] # gRPC publishes no types for it
    def __init__(self) -> None:
        super().__init__()
        self.closing = asyncio.Event()

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> None:  # noqa: N802 - gRPC's name
        tasks = [asyncio.ensure_future(wait) for wait in (super().Watch(request, context), self.closing.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
