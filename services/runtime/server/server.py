"""One way to run a server: bind, load, serve until a signal, drain."""

import asyncio
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import grpc
import structlog

from marquee.v1 import enrollment_pb2, recognizer_pb2
from services.runtime import logs
from services.runtime.doors import audit
from services.runtime.doors.certificates import Certificate, read_certificate, server_credentials
from services.runtime.doors.door import Door
from services.runtime.doors.settings import netloc
from services.runtime.doors.watch import Watched, watch
from services.runtime.errors import DomainError
from services.runtime.limits import MAX_DEADLINE_SECONDS, MAX_MESSAGE_BYTES, MIB
from services.runtime.server import health, metrics, reflection, tracing
from services.runtime.server.bulkhead import Bulkhead
from services.runtime.server.calls import CallInterceptor
from services.runtime.settings import Settings

logger = structlog.get_logger()
RECOGNIZER_SERVICE = recognizer_pb2.DESCRIPTOR.services_by_name["RecognizerService"].full_name
ENROLLMENT_SERVICE = enrollment_pb2.DESCRIPTOR.services_by_name["EnrollmentService"].full_name
_SERVER = "server"
"""As the server's certificate is named in metrics."""
LIMITS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # Requests wait at the client until they are read (see admission): by default gRPC takes in whole messages before.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 64 * 1024),
    # More calls on a connection wait at the client until others end. Overload protection would refuse some instead.
    ("grpc.max_concurrent_streams", 1000),
    ("grpc.http.overload_protection", 0),
    # More metadata than this gets RESOURCE_EXHAUSTED.
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.absolute_max_metadata_size", 16 * 1024),
)
"""What gRPC itself bounds."""


class Service(ABC):
    """What a server serves and its lifecycle: a leaf, or the gateway."""

    name: str
    """As it stands in traces."""
    bulkhead: Bulkhead | None = None
    """Places for calls. None: as many as come."""

    @abstractmethod
    def register(self, server: grpc.aio.Server) -> Sequence[str]:
        """Add the gRPC services and return their full names."""

    @abstractmethod
    async def load(self) -> None:
        """Prepare. The server is NOT_SERVING until this returns, and exits if it raises."""

    def is_ready(self) -> bool:
        """Return whether to accept calls now. Polled twice a second once loaded."""
        return True

    @abstractmethod
    async def close(self) -> None:
        """Release all resources."""

    def files(self) -> Iterable[Watched[Any]]:
        """Return files of its own to read again when they change."""
        return ()


def run(service: Service, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return. Exits 1 if it cannot serve."""
    logs.configure(settings)
    try:
        audit.configure(settings.audit_log)
        tracing.configure(f"marquee-{service.name}")
        asyncio.run(_serve(service, settings))
    except (DomainError, OSError, RuntimeError, ValueError) as exc:
        logger.error("cannot serve", error=str(exc), exc_info=not isinstance(exc, DomainError | OSError | ValueError))  # noqa: TRY400
        sys.exit(1)
    finally:
        tracing.shut_down()


async def _serve(service: Service, settings: Settings) -> None:
    stop, wake = _stop_on_signals(), _wake_on_hangup()
    door, certificate = Door(settings), _certificate(settings)
    interceptor = CallInterceptor(settings.max_in_flight_mib * MIB, door, service.bulkhead)
    server = grpc.aio.server(interceptors=[interceptor], options=_options(settings))
    probes = grpc.aio.server(interceptors=[CallInterceptor(MAX_MESSAGE_BYTES, door)], options=_options(settings))
    services = service.register(server)
    checks = health.Health((server, probes), services)
    if settings.reflection != "off":
        reflection.add(server, (*services, health.SERVICE))
    _bind(server, settings, certificate)
    _bind_probes(probes, settings)
    own = (*door.files(), *(() if certificate is None else (certificate,)))
    await asyncio.gather(server.start(), probes.start())
    logger.info("listening", address=netloc(settings.host, settings.port), metrics_port=settings.metrics_port)
    watching = asyncio.create_task(watch(lambda: (*own, *service.files()), wake))
    try:
        if await _is_loaded(service, stop):
            await checks.follow(service.is_ready, stop)
            await asyncio.sleep(settings.drain_delay_seconds)
    finally:
        watching.cancel()
        checks.close()
        await interceptor.stop(server, settings.drain_seconds)
        await probes.stop(None)
        await service.close()
    logger.info("stopped")


def _certificate(settings: Settings) -> Watched[Certificate] | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    paths = tuple(filter(None, (settings.tls_cert, settings.tls_key, settings.tls_client_ca)))
    replace = partial(Certificate.replace, name=_SERVER)
    certificate = Watched("certificate", paths, partial(read_certificate, *paths), replace)
    certificate.value.begin(_SERVER)
    return certificate


def _bind(server: grpc.aio.Server, settings: Settings, certificate: Watched[Certificate] | None) -> None:
    address = netloc(settings.host, settings.port)
    try:
        if certificate is None:
            server.add_insecure_port(address)
        else:
            server.add_secure_port(address, server_credentials(lambda: certificate.value))
    except RuntimeError:
        raise OSError(f"Cannot listen on {address}. Is the port taken? Set MARQUEE_HOST and MARQUEE_PORT.") from None
    metrics.export(settings, settings.host)


def _bind_probes(server: grpc.aio.Server, settings: Settings) -> None:
    """Listen for kubelet, which speaks no TLS and has no credentials."""
    if settings.is_on_loopback or not settings.health_port:
        return
    try:
        server.add_insecure_port(netloc(settings.host, settings.health_port))
    except RuntimeError:
        raise OSError(
            f"Cannot listen on port {settings.health_port}. Set MARQUEE_HEALTH_PORT, to 0 for none."
        ) from None


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _wake_on_hangup() -> asyncio.Event:
    wake = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, wake.set)
    return wake


async def _is_loaded(service: Service, stop: asyncio.Event) -> bool:
    """Load the service and return True, or cancel loading and return False when `stop` is set first."""
    loading, stopping = asyncio.ensure_future(service.load()), asyncio.ensure_future(stop.wait())
    await asyncio.wait((loading, stopping), return_when=asyncio.FIRST_COMPLETED)
    if loading.done():
        stopping.cancel()
        loading.result()
        return True
    loading.cancel()
    return False


def _options(settings: Settings) -> list[tuple[str, int]]:
    return [
        *LIMITS,
        ("grpc.max_connection_age_ms", settings.max_connection_age_seconds * 1000),
        # Calls that run then may end, whatever their deadline. Watches have none, and would keep a connection for ever.
        ("grpc.max_connection_age_grace_ms", int(MAX_DEADLINE_SECONDS * 1000)),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.so_reuseport", 0),
    ]
