"""What the library's tests share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support import library


@pytest.fixture(scope="session")
def postgres() -> Iterator[Path]:
    """Return the folder of the run's PostgreSQL."""
    with library.postgres_server() as folder:
        yield folder


@pytest.fixture
async def database_url(postgres: Path) -> AsyncIterator[str]:
    """Return the URL of an empty database with all tables."""
    async with library.database(postgres) as url:
        yield url
