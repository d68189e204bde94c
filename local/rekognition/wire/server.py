"""Serves the endpoint over HTTP, with connections that can be cut."""

import socket
import struct
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

_RESET_AT_ONCE = struct.pack("ii", 1, 0)


def config(app: Starlette, host: str = "127.0.0.1", port: int = 0) -> uvicorn.Config:
    """How uvicorn runs the app; boto3 keeps connections for as long as it wants."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_Protocol,
        lifespan="off",
        ws="none",
        log_level="warning",
        timeout_keep_alive=60,
        timeout_graceful_shutdown=10,
    )


def cut(request: Request) -> None:
    """Resets the request's connection: its client reads no answer but an error."""
    transport = request.state.transport
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_ONCE)
    transport.abort()


class _Protocol(H11Protocol):
    """Tells each request its connection, which ASGI does not."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        # asyncio does this only for sockets that were made by getaddrinfo's protocol number; without it the
        # answer's body waits 40 ms for the acknowledgement of its headers.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {**self.app_state, "transport": transport}
