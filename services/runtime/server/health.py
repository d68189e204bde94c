"""gRPC health checking, with liveness and readiness apart."""

import asyncio
import contextlib
from collections.abc import Callable

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from services.runtime.server.calls import Context

logger = structlog.get_logger()
SERVICE = "grpc.health.v1.Health"
LIVENESS = "liveness"
"""SERVING from the start: a server that loads or drains must not be restarted."""
READINESS = ("", "readiness", "marquee.v1.RecognizerService")
"""NOT_SERVING until the model is loaded, and while draining."""
_POLL_SECONDS = 0.5
_Status = health_pb2.HealthCheckResponse


class Health:
    """The health service of one server: alive from the start, ready while `follow` says so."""

    def __init__(self, server: grpc.aio.Server) -> None:
        self._servicer = _Servicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def live(self) -> None:
        """Report that the process is alive and not yet ready."""
        await self._servicer.set(LIVENESS, _Status.SERVING)
        await self._set_readiness(_Status.NOT_SERVING)

    async def follow(self, is_ready: Callable[[], bool], stop: asyncio.Event) -> None:
        """Report readiness until `stop` is set, and NOT_SERVING from then on."""
        was_ready = None
        while not stop.is_set():
            ready = is_ready()
            if ready is not was_ready:
                await self._set_readiness(_Status.SERVING if ready else _Status.NOT_SERVING)
                logger.info("serving" if ready else "not serving")
            was_ready = ready
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _POLL_SECONDS)
        await self._set_readiness(_Status.NOT_SERVING)

    def close(self) -> None:
        """End all watches: each would delay the server's end for as long as calls may drain."""
        self._servicer.closing.set()

    async def _set_readiness(self, status: "health_pb2.HealthCheckResponse.ServingStatus.ValueType") -> None:
        for name in READINESS:
            await self._servicer.set(name, status)


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
