"""One way to run the page: bind, serve until a signal, drain."""

import asyncio
import logging
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import structlog
import uvicorn
from starlette.types import ASGIApp

from services.runtime import logs
from services.runtime.doors import audit
from services.runtime.doors.certificates import Certificate, read_certificate
from services.runtime.doors.settings import netloc
from services.runtime.doors.watch import Watched, watch
from services.runtime.limits import MIB
from services.runtime.server import metrics, tracing
from services.web.app import build
from services.web.gateway import Gateway
from services.web.http.bodies import Bounds
from services.web.http.connections import Connection
from services.web.http.requests import Requests
from services.web.settings import WebSettings

logger = structlog.get_logger()
_NAME = "web"
"""Of the page's certificate in metrics and logs."""
_HANDSHAKE_SECONDS = 10.0
_FAREWELL_SECONDS = 2.0


def run(settings: WebSettings) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return. Exits 1 if it cannot serve."""
    logs.configure(settings)
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # each request and each failure has its line by us
    _allow_many_connections()
    try:
        audit.configure(settings.audit_log)
        tracing.configure("marquee-web")
        asyncio.run(_serve(settings))
    except (OSError, ValueError) as exc:
        logger.error("cannot serve", error=str(exc))  # noqa: TRY400 - the text says it all
        sys.exit(1)
    finally:
        tracing.shut_down()


async def _serve(settings: WebSettings) -> None:
    stop, wake = _on(signal.SIGTERM, signal.SIGINT), _on(signal.SIGHUP)
    certificate = _certificate(settings)
    gateway = Gateway(settings)
    app = build(settings, gateway)
    metrics.export(settings, settings.host)
    server = _Server(_config(settings, Requests(app, Bounds(settings.max_in_flight_mib * MIB)), certificate))
    own = (*app.state.files(), *(() if certificate is None else (certificate,)))
    watching = asyncio.create_task(watch(lambda: own, wake))
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            app.state.is_stopping = True
            await asyncio.sleep(settings.drain_delay_seconds)
        server.should_exit = True
        await serving
    finally:
        stopping.cancel()
        watching.cancel()
        await gateway.close()
    logger.info("stopped")


class _Server(uvicorn.Server):
    """Uvicorn's server, which leaves signals alone, says where it cannot listen, and lets requests end in words."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """Listen. Uvicorn's own exits the process where it cannot, and gives handshakes no time of their own."""
        del sockets
        config = self.config
        address = netloc(config.host, config.port)
        try:
            server = await asyncio.get_running_loop().create_server(
                lambda: Connection(config, self.server_state, self.lifespan.state),
                **_place(config),
                ssl=config.ssl,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS if config.ssl else None,
                backlog=config.backlog,
            )
        except OSError as exc:
            raise OSError(
                f"Cannot listen on {address}: {exc.strerror}. Is the port taken? Set MARQUEE_HOST and MARQUEE_WEB_PORT."
            ) from None
        self.servers, self.started = [server], True
        logger.info("listening", address=address, tls=config.is_ssl)

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        await super().shutdown(sockets)
        if tasks := tuple(self.server_state.tasks):  # uvicorn has cancelled them, and does not wait
            await asyncio.wait(tasks, timeout=_FAREWELL_SECONDS)


def _place(config: uvicorn.Config) -> dict[str, Any]:
    """Return where to listen: asyncio alone would not take IPv4 on `::`, as gRPC and the metrics do."""
    if config.host != "::" or not socket.has_dualstack_ipv6():
        return {"host": config.host, "port": config.port}
    return {"sock": socket.create_server(("::", config.port), family=socket.AF_INET6, dualstack_ipv6=True)}


class _Shown(NamedTuple):
    """What the page shows to browsers."""

    certificate: Certificate
    context: ssl.SSLContext


def _certificate(settings: WebSettings) -> Watched[_Shown] | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    paths = (settings.tls_cert, settings.tls_key)
    shown = Watched("certificate", paths, partial(_read, *paths), lambda new: new.certificate.replace(_NAME))
    shown.value.certificate.begin(_NAME)
    return shown


def _read(chain: Path, key: Path) -> _Shown:
    """Return the certificate in the files. Raises ValueError for a pair that cannot be used."""
    certificate = read_certificate(chain, key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(chain, key)
    return _Shown(certificate, context)


def _context(shown: Watched[_Shown]) -> ssl.SSLContext:
    """Return the context of new connections, each of which gets the certificate that is current then."""

    def switch(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        del name, context
        connection.context = shown.value.context

    context = shown.value.context
    context.sni_callback = switch  # called for clients that name no server, too
    return context


def _config(settings: WebSettings, app: ASGIApp, certificate: Watched[_Shown] | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.web_port,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.web_trusted_proxies),
        forwarded_allow_ips=list(settings.web_trusted_proxies),
        ssl_context_factory=None if certificate is None else lambda *_: _context(certificate),
        timeout_keep_alive=settings.web_keep_alive_seconds,
        timeout_graceful_shutdown=settings.drain_seconds,  # type: ignore[arg-type] # a fraction does, too
    )


def _on(*signals: signal.Signals) -> asyncio.Event:
    event = asyncio.Event()
    for number in signals:
        asyncio.get_running_loop().add_signal_handler(number, event.set)
    return event


def _allow_many_connections() -> None:
    """Take as many files as the system lets: each connection is one, and the usual limit is 1024."""
    with suppress(OSError, ValueError):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
