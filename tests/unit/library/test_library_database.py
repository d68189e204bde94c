"""What a library does whose database is there, and cannot be used as it is."""

import asyncio
from contextlib import suppress
from pathlib import Path

import asyncpg
import grpc
from sqlalchemy import make_url
from structlog.testing import capture_logs

from local import postgres as servers
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from services.library.database.migration import migrate
from services.library.server import Library
from services.library.settings import LibrarySettings
from tests.support.library import added, break_connections, library, refused, run_sql
from tests.support.library import database as databases
from tests.support.servers import nobody, picture, served, until

_UNAVAILABLE = ("UNAVAILABLE", "DEPENDENCY_UNAVAILABLE")


async def test_a_database_without_the_librarys_tables_is_unavailable(database_url: str, tmp_path: Path) -> None:
    """One that was replaced by an empty one is refused as such, and used again once it is migrated."""
    async with library(database_url, tmp_path, nobody()) as client:
        await added(client)
        await asyncio.to_thread(migrate, database_url, "base")
        assert await refused(added(client, picture((9, 9)))) == _UNAVAILABLE
        await asyncio.to_thread(migrate, database_url)
        assert (await added(client, picture((9, 9)), collection="another")).picture_id


async def test_a_server_that_another_one_has_taken_over_from_is_let_go(
    postgres: Path, database_url: str, tmp_path: Path
) -> None:
    """Connections to a server that only reads by now are given up, so that the next ones lead to its successor."""
    name = make_url(database_url).database
    async with library(database_url, tmp_path, nobody(), library_workers=0) as client:
        await run_sql(database_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await break_connections(database_url)
        with suppress(grpc.aio.AioRpcError):  # the first one finds its connection broken
            await added(client)
        assert await refused(added(client)) == _UNAVAILABLE
        await run_sql(servers.url(postgres), f"ALTER DATABASE {name} RESET default_transaction_read_only")
        assert (await added(client)).picture_id


async def test_connections_follow_the_urls_file(postgres: Path, database_url: str, tmp_path: Path) -> None:
    """New ones are made by what it says then, such as with another password; what is no URL changes nothing."""
    path, wake = tmp_path / "url", asyncio.Event()
    path.write_text(database_url)
    settings = LibrarySettings(library_database_url_file=path, library_store=tmp_path.as_uri(), library_workers=0)
    async with (
        databases(postgres) as other,
        served(Library(settings), wake=wake) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        client = LibraryServiceStub(channel)
        for content, logged in ((other, "reloaded"), ("no URL", "change refused; the old one stays in use")):
            with capture_logs() as logs:
                path.write_text(content)
                wake.set()
                await until(lambda logs=logs, logged=logged: any(one["event"] == logged for one in logs))
        await break_connections(database_url)
        with suppress(grpc.aio.AioRpcError):
            await added(client)
        picture_id = (await added(client)).picture_id
        connection = await asyncpg.connect(other)
        assert str(await connection.fetchval("SELECT picture_id FROM picture")) == picture_id
        await connection.close()
