"""People of a library for tests."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc

from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.library.v1.people_pb2_grpc import PeopleServiceStub
from services.gateway.config import BackendConfig, CacheConfig
from tests.support.library import library_server
from tests.support.servers import Scripted, gateway, leaf, nobody


@asynccontextmanager
async def people(address: str) -> AsyncIterator[PeopleServiceStub]:
    """Yield a client of the library's people at this address."""
    async with grpc.aio.insecure_channel(address) as channel:
        yield PeopleServiceStub(channel)


@asynccontextmanager
async def library_of(
    url: str, store: Path, *recognizers: Scripted, **settings: object
) -> AsyncIterator[tuple[LibraryServiceStub, PeopleServiceStub]]:
    """Yield clients of a library, and of its people, behind a gateway that keeps these recognizers' answers, if any."""
    async with AsyncExitStack() as stack:
        targets = {one.name: await stack.enter_async_context(leaf(one)) for one in recognizers}
        backends = {name: BackendConfig(target=target) for name, target in targets.items()}
        address = nobody()
        if backends:
            address = await stack.enter_async_context(gateway(backends, cache=CacheConfig()))
        own = await stack.enter_async_context(library_server(url, store, address, **settings))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(own))
        yield LibraryServiceStub(channel), PeopleServiceStub(channel)
