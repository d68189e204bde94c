"""The page's way of serving HTTP, around a test's own application, and clients that are slow or keep to no rule."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import uvicorn
from starlette.types import ASGIApp

from services.web.http.bodies import Bounds
from services.web.http.connections import Connection
from services.web.http.requests import Requests
from tests.support.processes import PATIENCE, free_port

ROOMY = Bounds(memory=1 << 30)


@asynccontextmanager
async def serving(
    app: ASGIApp, bounds: Bounds = ROOMY, connection: type[Connection] = Connection
) -> AsyncIterator[int]:
    """Serve the application in this event loop; yield the port."""
    port = free_port()
    config = uvicorn.Config(
        Requests(app, bounds), port=port, http=connection, ws="none", lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    ticking = asyncio.create_task(server.main_loop())
    try:
        yield port
    finally:
        ticking.cancel()
        for task in server.server_state.tasks:
            task.cancel()
        server.force_exit = True
        await server.shutdown()


class Client:
    """A connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Send the bytes, unless the server has closed the connection."""
        with suppress(ConnectionError):
            self._writer.write(data)
            await self._writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        """Return the status and the body of the next answer; 0 if the server closes the connection without one."""
        async with asyncio.timeout(PATIENCE):
            try:
                head = await self.reader.readuntil(b"\r\n\r\n")
                lines = head.lower().split(b"\r\n")
                size = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length"))
                return int(head.split()[1]), await self.reader.readexactly(size)
            except (asyncio.IncompleteReadError, ConnectionError):
                return 0, b""

    async def rest(self) -> bytes:
        """Return what comes until the server closes the connection."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


@asynccontextmanager
async def connected(port: int, source: str = "127.0.0.1") -> AsyncIterator[Client]:
    """Yield a connection from a loopback address."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


def head(path: str = "/", method: str = "POST", **headers: object) -> bytes:
    """Return a request's head; `content_length=3` is the header Content-Length."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode()


def chunk(data: bytes) -> bytes:
    """Return a chunk of a body; the empty one is its end."""
    return b"%x\r\n%b\r\n" % (len(data), data)
