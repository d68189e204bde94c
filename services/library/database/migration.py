"""Migrations: `python -m services.library migrate` brings the database up to date, as an init container does.

Replicas of the release before go on meanwhile, so a migration only adds; what a release no longer needs is dropped by
a later one.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from services.library.database.database import explained, url_of
from services.runtime.errors import Misconfigured

_LOCK = 0x6D617271
"""Advisory lock that only one migration holds."""
_OLDEST_VERSION = 16_00_00


def migrate(url: str, revision: str = "head") -> None:
    """Bring the database to the revision, one process at a time; an older revision takes migrations back.

    Raises DependencyUnavailable and Misconfigured.
    """

    def change(connection: Connection) -> None:
        _check(connection)
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        config = _config()
        config.attributes["connection"] = connection
        current = MigrationContext.configure(connection).get_current_revision()
        if _is_older(config, revision, current):
            command.downgrade(config, revision)
        else:
            command.upgrade(config, revision)

    asyncio.run(_run(url, change))


async def is_current(url: str) -> bool:
    """Return whether the database has all migrations of this release, and perhaps those of a later one."""
    found: list[str | None] = []
    await _run(url, lambda connection: found.append(MigrationContext.configure(connection).get_current_revision()))
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    head = ScriptDirectory.from_config(_config()).get_current_head()
    return found[0] is not None and (found[0] == head or found[0] not in known)


async def _run(url: str, change: Callable[[Connection], None]) -> None:
    engine = create_async_engine(url_of(url), poolclass=NullPool)
    try:
        with explained():
            async with engine.begin() as connection:
                await connection.run_sync(change)
    finally:
        await engine.dispose()


def _check(connection: Connection) -> None:
    version = int(connection.execute(text("SHOW server_version_num")).scalar_one())
    if version < _OLDEST_VERSION:
        raise Misconfigured(f"The database is PostgreSQL {version // 10_000}; the library needs 16 or newer.")
    found = connection.execute(text("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")).scalar()
    if found is None:
        raise Misconfigured("The database has no pgvector: install the extension on its server.")


def _is_older(config: Config, revision: str, current: str | None) -> bool:
    if current is None or revision == "head":
        return False
    revisions = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions("base", current)]
    return revision == "base" or (revision in revisions and revision != current)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    return config
