"""One way to run the page: bind, serve until a signal, drain."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn
from starlette.types import ASGIApp

from services.runtime import logs
from services.runtime.doors.watch import watch
from services.runtime.server import metrics, tracing
from services.web.app import build
from services.web.gateway import Gateway
from services.web.settings import WebSettings

logger = structlog.get_logger()


def run(settings: WebSettings) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return. Exits 1 if it cannot serve."""
    logs.configure(settings)
    try:
        tracing.configure("marquee-web")
        asyncio.run(_serve(settings))
    except (OSError, ValueError) as exc:
        logger.error("cannot serve", error=str(exc))  # noqa: TRY400 - the text says it all
        sys.exit(1)
    finally:
        tracing.shut_down()


async def _serve(settings: WebSettings) -> None:
    gateway = Gateway(settings)
    server = _Server(_config(settings, build(settings, gateway)))
    metrics.export(settings.metrics_host or settings.host, settings.metrics_port)
    stop, wake = _on(signal.SIGTERM, signal.SIGINT), _on(signal.SIGHUP)
    watching = asyncio.create_task(watch(gateway.files, wake))
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            await asyncio.sleep(settings.drain_delay_seconds)
        server.should_exit = True
        await serving
    finally:
        stopping.cancel()
        watching.cancel()
        await gateway.close()
    logger.info("stopped")


class _Server(uvicorn.Server):
    """Uvicorn's server, which leaves signals alone, and says so where it cannot listen."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        try:
            await super().startup(sockets)  # type: ignore[arg-type]
        except SystemExit:
            raise OSError(
                f"Cannot listen on {self.config.host}:{self.config.port}. Is the port taken? Set MARQUEE_HOST and "
                "MARQUEE_WEB_PORT."
            ) from None
        logger.info("listening", address=f"{self.config.host}:{self.config.port}")


def _config(settings: WebSettings, app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.web_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(settings.drain_seconds) or None,
    )


def _on(*signals: signal.Signals) -> asyncio.Event:
    event = asyncio.Event()
    for number in signals:
        asyncio.get_running_loop().add_signal_handler(number, event.set)
    return event
