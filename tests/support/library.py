"""A library for tests: PostgreSQL that the run shares, a database of its own, and a gateway of scripted recognizers."""

import asyncio
import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest

from local import postgres
from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.v1 import recognizer_pb2
from services.library.database.migration import migrate
from services.library.server import Library
from services.library.settings import LibrarySettings
from services.runtime import status
from tests.support.processes import PATIENCE, guarded
from tests.support.servers import code_and_reason, picture, served

_TEMPLATE = "library_template"
_LOCK = 1


@contextmanager
def postgres_server() -> Iterator[Path]:
    """Yield the folder of a server with a migrated template; the processes of a test run share it."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex
    folder = Path(tempfile.gettempdir(), f"marquee-pg-{run[:12]}")
    server = postgres.start(folder, delete=True)
    leader = int((folder / "postmaster.pid").read_text().split()[0])
    try:
        with guarded(leader):
            asyncio.run(_make_template(folder))
            yield folder
    finally:
        server.cleanup()


@contextmanager
def measured_database(parent: Path | None = None) -> Iterator[tuple[Path, str]]:
    """Yield a folder, and the URL of a database with all tables, whose server has its data there, synced to the disk.

    Both are deleted at the end.
    """
    with tempfile.TemporaryDirectory(dir=parent) as name:
        folder = Path(name)
        folder.chmod(0o755)  # the server may be another user's
        server = postgres.start(folder / "postgres", delete=True)
        try:
            url = postgres.url(folder / "postgres")
            migrate(url)
            yield folder, url
        finally:
            server.cleanup()


async def _make_template(folder: Path) -> None:
    connection = await asyncpg.connect(postgres.url(folder))
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", _TEMPLATE):
            await connection.execute("ALTER SYSTEM SET fsync = off")
            await connection.execute("SELECT pg_reload_conf()")
            await connection.execute("CREATE DATABASE library_new")
            await asyncio.to_thread(migrate, postgres.url(folder, "library_new"))
            await connection.execute(f"ALTER DATABASE library_new RENAME TO {_TEMPLATE}")
    finally:
        await connection.close()


@asynccontextmanager
async def database(folder: Path) -> AsyncIterator[str]:
    """Yield the URL of a database of its own, with all tables and nothing in them."""
    name = f"t{uuid.uuid4().hex}"
    connection = await asyncpg.connect(postgres.url(folder))
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        try:
            yield postgres.url(folder, name)
        finally:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


@asynccontextmanager
async def library(url: str, store: Path | str, gateway: str, **settings: Any) -> AsyncIterator[LibraryServiceStub]:
    """Serve a library in this event loop; yield a client of it."""
    async with (
        library_server(url, store, gateway, **settings) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield LibraryServiceStub(channel)


@asynccontextmanager
async def library_server(
    url: str, store: Path | str, gateway: str, callers: Path | None = None, **settings: object
) -> AsyncIterator[str]:
    """Serve a library in this event loop, for everybody or the callers of a register; yield its address."""
    own = {
        "library_database_url": url,
        "library_store": store if isinstance(store, str) else store.as_uri(),
        "library_gateway": gateway,
        "library_database_connections": 4,
        **settings,
    }
    service = Library(LibrarySettings(**own))
    async with served(service, callers=callers) as address:
        yield address


async def break_connections(url: str) -> None:
    """End all connections to the database, as a server that stops does."""
    await run_sql(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


async def run_sql(url: str, statement: str) -> None:
    """Run a statement on a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def added(client: LibraryServiceStub, content: bytes | None = None, **fields: object) -> pb.Picture:
    """Add a picture, and return it."""
    image = recognizer_pb2.Image(content=content or picture())
    return (await client.AddImage(pb.AddImageRequest(image=image, **fields))).picture


async def refused(call: Awaitable[object]) -> tuple[str, str]:
    """Return the code and the reason with which a call is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return code_and_reason(status.from_rpc_error(caught.value))


async def shown_when(
    client: LibraryServiceStub, picture_id: str, condition: Callable[[pb.Picture], object]
) -> pb.Picture:
    """Return the picture once the condition holds for it."""
    async with asyncio.timeout(PATIENCE):
        while not condition(shown := await get(client, picture_id)):  # noqa: ASYNC110 - a worker changes it
            await asyncio.sleep(0.02)
    return shown


async def get(client: LibraryServiceStub, picture_id: str) -> pb.Picture:
    response = await client.GetPicture(pb.GetPictureRequest(picture_id=picture_id), wait_for_ready=True)
    return response.picture


async def ended(client: LibraryServiceStub, picture_id: str) -> pb.Picture:
    """Return the picture once its job has ended."""
    return await shown_when(client, picture_id, lambda shown: shown.job.HasField("end_time"))


async def rows(url: str, query: str) -> list[tuple[object, ...]]:
    """Return what the database answers."""
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def blocked(url: str) -> None:
    """Return once a transaction of the database waits for another."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(PATIENCE):
        while not await rows(url, waiting):  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.02)
