"""What the tests of pictures share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from tests.support import library
from tests.support.servers import nobody


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[LibraryServiceStub]:
    """Return a client of a library without a gateway, in which pictures stay PENDING."""
    async with library.library(database_url, tmp_path / "store", nobody(), library_workers=0) as client:
        yield client
