"""What the tests of erasure share: a library without workers, and its database."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from tests.support import library
from tests.support.servers import nobody


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[LibraryServiceStub]:
    """Return a client of a library whose gateway is away."""
    async with library.library(database_url, tmp_path / "store", nobody(), library_workers=0) as client:
        yield client


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Return a connection to the library's database."""
    connection = await asyncpg.connect(database_url)
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    yield connection
    await connection.close()
