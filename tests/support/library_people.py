"""People of a library for tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from marquee.library.v1.people_pb2_grpc import PeopleServiceStub


@asynccontextmanager
async def people(address: str) -> AsyncIterator[PeopleServiceStub]:
    """Yield a client of the library's people at this address."""
    async with grpc.aio.insecure_channel(address) as channel:
        yield PeopleServiceStub(channel)
