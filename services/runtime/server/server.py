"""One way to start a server."""

import asyncio
import contextlib
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence

import grpc
import structlog

from marquee.v1 import enrollment_pb2, recognizer_pb2
from services.runtime import logs
from services.runtime.errors import DomainError
from services.runtime.limits import MAX_MESSAGE_BYTES, MIB
from services.runtime.server import metrics
from services.runtime.server.admission import Admission
from services.runtime.server.health import Health
from services.runtime.server.interceptors import CallInterceptor
from services.runtime.server.reflection import add_reflection
from services.runtime.settings import Settings

logger = structlog.get_logger()
RECOGNIZER_SERVICE = recognizer_pb2.DESCRIPTOR.services_by_name["RecognizerService"].full_name
ENROLLMENT_SERVICE = enrollment_pb2.DESCRIPTOR.services_by_name["EnrollmentService"].full_name
_LOOK_SECONDS = 0.5


class Service(ABC):
    """What a server serves, with a life: a leaf, or the gateway."""

    @abstractmethod
    def register(self, server: grpc.aio.Server) -> Sequence[str]:
        """Adds its gRPC services; returns their full names."""

    @abstractmethod
    async def load(self) -> None:
        """Gets ready; the server is NOT_SERVING until this returns, and ends when it raises."""

    def is_ready(self) -> bool:
        """Whether calls are welcome, once it is loaded; asked for twice a second."""
        return True

    @abstractmethod
    async def close(self) -> None:
        """Lets go of what it holds."""


def run(service: Service, settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT, then drains and returns. Exits with 1 where it cannot serve."""
    logs.configure(settings)
    try:
        asyncio.run(_serve(service, settings))
    except (DomainError, OSError, RuntimeError) as exc:
        logger.error("cannot serve", error=str(exc), exc_info=not isinstance(exc, DomainError | OSError))  # noqa: TRY400
        sys.exit(1)


async def _serve(service: Service, settings: Settings) -> None:
    interceptor = CallInterceptor(Admission(settings.max_in_flight_mib * MIB))
    server = grpc.aio.server(interceptors=[interceptor], options=_options(settings))
    add_reflection(server, (*service.register(server), "grpc.health.v1.Health"))
    health = Health(server)
    await health.live()
    _bind(server, settings)
    stop = _stop_on_signals()
    await server.start()
    logger.info("listening", address=f"{settings.host}:{settings.port}", metrics_port=settings.metrics_port)
    try:
        if await _loaded(service, stop):
            await _tell_health(service, health, stop)
            await health.unready()
            await asyncio.sleep(settings.drain_delay_seconds)
    finally:
        health.close()
        await server.stop(settings.drain_seconds)
        await service.close()
    logger.info("stopped")


def _bind(server: grpc.aio.Server, settings: Settings) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{host}:{settings.port}"
    try:
        server.add_insecure_port(address)
    except RuntimeError:
        raise OSError(f"{address} cannot be listened on. Is the port taken? Set MARQUEE_HOST, MARQUEE_PORT.") from None
    try:
        metrics.export(settings.host, settings.metrics_port)
    except OSError as exc:
        raise OSError(f"Port {settings.metrics_port} for metrics: {exc}. Set MARQUEE_METRICS_PORT.") from exc


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _loaded(service: Service, stop: asyncio.Event) -> bool:
    """Whether the service got ready before somebody asked to stop."""
    loading, stopping = asyncio.ensure_future(service.load()), asyncio.ensure_future(stop.wait())
    await asyncio.wait((loading, stopping), return_when=asyncio.FIRST_COMPLETED)
    if loading.done():
        stopping.cancel()
        loading.result()
        return True
    loading.cancel()
    return False


async def _tell_health(service: Service, health: Health, stop: asyncio.Event) -> None:
    """Until somebody asks to stop."""
    told = None
    while not stop.is_set():
        ready = service.is_ready()
        if ready is not told:
            await (health.ready() if ready else health.unready())
            logger.info("serving" if ready else "not serving")
        told = ready
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _LOOK_SECONDS)


def _options(settings: Settings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_connection_age_ms", settings.max_connection_age_seconds * 1000),
        ("grpc.max_connection_age_grace_ms", 30_000),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.so_reuseport", 0),
    ]
