"""Migrations, up and down, and that they lead to the tables that the code has."""

import asyncio
import warnings
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from services.library.database.database import url_of
from services.library.database.migration import is_current, migrate
from services.library.database.notification_tables import notification_rule
from services.library.database.people_tables import metadata
from services.library.settings import LibrarySettings
from services.runtime.errors import Misconfigured


async def test_the_migrations_make_the_tables(database_url: str) -> None:
    """All migrations together make exactly the tables, columns and indexes of tables.py."""

    def compare(connection: Connection) -> list[Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # expressions in indexes are not compared
            assert notification_rule.metadata is metadata
            return compare_metadata(MigrationContext.configure(connection), metadata)

    engine = create_async_engine(url_of(database_url))
    async with engine.connect() as connection:
        assert await connection.run_sync(compare) == []
    await engine.dispose()


async def test_migrations_lead_down_and_up_again(database_url: str) -> None:
    """A database with data can be taken back to nothing, and brought up again; twice up changes nothing."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("INSERT INTO collection (name) VALUES ('a')")
    assert await is_current(database_url)
    await asyncio.to_thread(migrate, database_url, "base")
    assert not await is_current(database_url)
    for _ in range(2):
        await asyncio.to_thread(migrate, database_url)
    assert await connection.fetchval("SELECT count(*) FROM collection") == 0
    await connection.close()


async def test_replicas_migrate_one_after_the_other(database_url: str) -> None:
    """Several init containers at once leave one set of tables."""
    await asyncio.to_thread(migrate, database_url, "base")
    await asyncio.gather(*(asyncio.to_thread(migrate, database_url) for _ in range(3)))
    assert await is_current(database_url)


def test_the_url_comes_from_a_file(tmp_path: Path) -> None:
    """A mounted Secret names the database; a file that is not there is named."""
    path = tmp_path / "url"
    settings = LibrarySettings(library_database_url_file=path)
    with pytest.raises(Misconfigured, match=f"from {path}: No such file"):
        _ = settings.database_url
    path.write_text("postgresql://marquee@db/library\n")
    assert settings.database_url == "postgresql://marquee@db/library"
