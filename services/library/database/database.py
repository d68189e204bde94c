"""Connections to the database, and what its failures mean."""

from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg
import structlog
from sqlalchemy import event, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import URL, Dialect, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from services.library.database.tables import collection
from services.runtime.errors import DependencyUnavailable, Misconfigured

logger = structlog.get_logger()
_WAIT_SECONDS = 5.0
"""For a connection of the pool, or a new one."""
_NEWS = "news"
_HINT = "MARQUEE_LIBRARY_DATABASE_URL is postgresql://USER:PASSWORD@HOST:PORT/DATABASE."
_AWAY = (
    *(PoolTimeout, OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError, asyncpg.PostgresSystemError),
    *(asyncpg.OperatorInterventionError, asyncpg.InsufficientResourcesError, asyncpg.ReadOnlySQLTransactionError),
    *(asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.InvalidCachedStatementError),
)
_AWAY_MESSAGE = "The library's database cannot be reached, or is too busy. Try again in a moment."
_UNUSABLE = (
    *(asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InsufficientPrivilegeError),
    *(asyncpg.InvalidCatalogNameError, asyncpg.UndefinedTableError),
)
"""It refuses the library, or lacks its tables, as one that was restored or replaced does."""
_UNUSABLE_MESSAGE = (
    "The library cannot use its database. Whoever runs Marquee has to mend that; the log says what it is."
)


class Database:
    """The database. Its methods raise DependencyUnavailable while it is away; nothing was changed then, or all was."""

    def __init__(self, url: str, connections: int = 16) -> None:
        """Use the database at this URL. Raises Misconfigured."""
        self._url = url_of(url)
        self.connections = connections
        options = {"timeout": _WAIT_SECONDS, "server_settings": {"timezone": "UTC", "jit": "off"}}
        self._engine = create_async_engine(
            self._url,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=_WAIT_SECONDS,
            pool_pre_ping=False,
            pool_recycle=1800,
            connect_args=options,
        )
        self._besides = create_async_engine(self._url, poolclass=NullPool, connect_args=options)
        for engine in (self._engine, self._besides):
            event.listen(engine.sync_engine, "do_connect", self._follow)
            event.listen(engine.sync_engine, "handle_error", _let_go)
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

    def move(self, url: str) -> None:
        """Use this URL for new connections, such as with another password; the others stay. Raises Misconfigured."""
        self._url = url_of(url)

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    def _follow(self, dialect: Dialect, _record: Any, _args: Any, options: dict[str, Any]) -> None:
        options.update(dialect.create_connect_args(self._url)[1])


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
    """Raise DependencyUnavailable in place of what no statement is to blame for: a database that cannot be used."""
    try:
        yield
    except (DBAPIError, PoolTimeout, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
        cause = _cause(exc)
        if isinstance(cause, _UNUSABLE):
            logger.error("the database cannot be used", error=str(cause))  # noqa: TRY400 - its message says it all
            raise DependencyUnavailable(_UNUSABLE_MESSAGE, dependency="database") from exc
        if isinstance(cause, _AWAY) or (isinstance(exc, DBAPIError) and exc.connection_invalidated):
            raise DependencyUnavailable(_AWAY_MESSAGE, dependency="database") from exc
        raise


def _cause(exc: BaseException) -> BaseException:
    """Return asyncpg's own error, which is wrapped by SQLAlchemy's, and that again; or the error itself."""
    own = exc.orig if isinstance(exc, DBAPIError) and exc.orig is not None else exc
    return own.__cause__ if isinstance(own.__cause__, asyncpg.PostgresError | asyncpg.InterfaceError | OSError) else own


def _let_go(context: ExceptionContext) -> None:
    """Give up connections to a server that only reads by now, since another one has taken over."""
    if isinstance(_cause(context.original_exception), asyncpg.ReadOnlySQLTransactionError):
        context.is_disconnect = True
