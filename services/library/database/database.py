"""Connections to the database, and what its failures mean."""

from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from services.library.database.tables import collection
from services.runtime.errors import DependencyUnavailable, Misconfigured

_WAIT_SECONDS = 5.0
"""For a connection of the pool, or a new one."""
_NEWS = "news"
_HINT = "MARQUEE_LIBRARY_DATABASE_URL is postgresql://USER:PASSWORD@HOST:PORT/DATABASE."


class Database:
    """The database. Its methods raise DependencyUnavailable while it is away; nothing was changed then, or all was."""

    def __init__(self, url: str, connections: int = 16) -> None:
        self.connections = connections
        options = {"timeout": _WAIT_SECONDS, "server_settings": {"timezone": "UTC", "jit": "off"}}
        self._engine = create_async_engine(
            url_of(url),
            pool_size=connections,
            max_overflow=0,
            pool_timeout=_WAIT_SECONDS,
            pool_pre_ping=False,
            pool_recycle=1800,
            connect_args=options,
        )
        self._besides = create_async_engine(url_of(url), poolclass=NullPool, connect_args=options)
        self._collections: dict[str, int] = {}
        self.on_news: Callable[[Collection[str]], None] = lambda _: None
        """Called with what transactions have announced, once they are committed."""

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection in a transaction, which is committed unless the body raises."""
        news: set[str] = set()
        with explained():
            async with self._engine.begin() as connection:
                connection.info[_NEWS] = news
                yield connection
        if news:
            self.on_news(news)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection that only reads, and sees the database as it was at its first statement."""
        with explained():
            async with self._engine.connect() as connection:
                options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
                await connection.execution_options(**options)
                async with connection.begin():
                    yield connection

    @asynccontextmanager
    async def driver(self) -> AsyncIterator[Any]:
        """Yield a connection of asyncpg's besides those of the pool, for what lasts, such as LISTEN."""
        with explained():
            async with self._besides.connect() as connection:
                yield (await connection.get_raw_connection()).driver_connection

    async def collection_id(self, name: str, *, make: bool = True) -> int:
        """Return the number of the collection, which is made if it is new; or 0, which no collection has."""
        if name not in self._collections:
            async with self.begin() as connection:
                if make:
                    await connection.execute(insert(collection).values(name=name).on_conflict_do_nothing())
                found = await connection.execute(select(collection.c.collection_id).where(collection.c.name == name))
                number = found.scalar_one_or_none()
            if number is None:
                return 0
            self._collections[name] = number
        return self._collections[name]

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


def announce(connection: AsyncConnection, news: str) -> None:
    """Have the news told once the transaction is committed; nobody learns of it if it is not.

    NOTIFY within a transaction would hold a lock until its end, so that no two of them could be written at once.
    """
    connection.info[_NEWS].add(news)


def url_of(url: str) -> URL:
    """Return the URL with the driver. Raises Misconfigured."""
    if not url:
        raise Misconfigured(f"The library needs a database, by a variable or a file. {_HINT}")
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise Misconfigured(f"The URL of the database cannot be read. {_HINT}") from None
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise Misconfigured(f"The library keeps its data in PostgreSQL, and in no {parsed.get_backend_name()}. {_HINT}")
    return parsed.set(drivername="postgresql+asyncpg")


@contextmanager
def explained() -> Iterator[None]:
    """Raise DependencyUnavailable in place of a failure to reach the database, or of a connection that broke."""
    try:
        yield
    except DBAPIError as exc:
        if exc.connection_invalidated or _is_away(exc.orig):
            raise _away() from exc
        raise
    except (PoolTimeout, OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError) as exc:
        raise _away() from exc
    except TimeoutError as exc:
        raise _away() from exc


def _is_away(exc: BaseException | None) -> bool:
    cause = exc.__cause__ if exc is not None else None
    kinds = (
        *(asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError, asyncpg.AdminShutdownError),
        *(asyncpg.CrashShutdownError, asyncpg.TooManyConnectionsError, asyncpg.InterfaceError, OSError),
        *(asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.QueryCanceledError),
    )
    return isinstance(exc, kinds) or isinstance(cause, kinds)


def _away() -> DependencyUnavailable:
    return DependencyUnavailable(
        "The library's database cannot be reached, or is too busy. Try again in a moment.",
        dependency="database",
    )
