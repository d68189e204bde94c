"""What no well-meaning caller sends: every server gives it the same status, and answers the next call."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.names import SERVERS
from services.runtime import status
from tests.support.hostile import CONNECTIONS, ENROLLMENTS, RECOGNITIONS, STREAM, Hostile
from tests.support.hostile_library import CALLS
from tests.support.processes import LocalSystem

pytestmark = pytest.mark.slow

ENROLLING = ("gateway", "svm")
SOON = 15
"""Seconds: a ceiling for a busy machine. bench/hostile.py measures it, and four million features took tens of them."""
_ALONE = [("grpc.use_local_subchannel_pool", 1)]
_OPTIONS = [("grpc.max_send_message_length", 64 << 20), ("grpc.max_metadata_size", 1 << 20)]


@pytest.fixture(params=SERVERS)
def address(request: pytest.FixtureRequest, system: LocalSystem) -> str:
    return system.address(str(request.param))


@pytest.fixture
async def channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
        yield channel


async def test_hostile_requests_get_their_status(channel: grpc.aio.Channel) -> None:
    """Every server refuses each of the requests with the same code and reason, and stays alive."""
    assert await answers(channel, RECOGNITIONS) == expected(RECOGNITIONS)


@pytest.mark.parametrize("address", ENROLLING, indirect=True)
async def test_hostile_enrollments_get_their_status(channel: grpc.aio.Channel) -> None:
    """Every server that enrolls refuses each of the requests with the same code and reason, and stays alive."""
    assert await answers(channel, ENROLLMENTS) == expected(ENROLLMENTS)


@pytest.mark.parametrize("address", ["library"], indirect=True)
async def test_hostile_calls_of_the_library_get_their_status(channel: grpc.aio.Channel) -> None:
    """The library refuses each of the requests with its code and reason, and stays alive."""
    assert await answers(channel, CALLS) == expected(CALLS)


@pytest.mark.parametrize("address", [*SERVERS, "library"], indirect=True)
async def test_hostile_connections_harm_no_other(address: str, channel: grpc.aio.Channel) -> None:
    """Whatever is sent on one connection, another one is served."""
    alive = {}
    for case, data in CONNECTIONS.items():
        async with connection(address) as (reader, writer):
            writer.write(data)
            await reader.read(1)
            alive[case] = await is_alive(channel)
    assert alive == dict.fromkeys(CONNECTIONS, True)


async def test_liveness_answers_beside_hostile_requests(address: str, channel: grpc.aio.Channel) -> None:
    """While all of the requests are in flight, liveness is answered soon: none of them keeps the server busy."""
    waits = []
    clock = asyncio.get_running_loop().time
    async with grpc.aio.insecure_channel(address, options=_ALONE) as own:
        calls = asyncio.gather(*(answer(channel, hostile) for hostile in RECOGNITIONS.values()))
        while not calls.done():
            begin = clock()
            assert await is_alive(own)
            waits.append(clock() - begin)
            await asyncio.sleep(0.05)
        await calls
    assert max(waits) < SOON


@asynccontextmanager
async def connection(address: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a connection, and close it afterwards unless the server has."""
    reader, writer = await asyncio.open_connection(*address.split(":"))
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def expected(requests: Mapping[str, Hostile]) -> dict[str, tuple[str, str]]:
    """Return the code and the reason that each request should get."""
    return {case: (hostile.code, hostile.reason) for case, hostile in requests.items()}


async def answers(channel: grpc.aio.Channel, requests: Mapping[str, Hostile]) -> dict[str, tuple[str, str]]:
    """Return the code and the reason that each request gets, from a server that is alive after each of them."""
    found = {}
    for case, hostile in requests.items():
        found[case] = await answer(channel, hostile)
        assert await is_alive(channel)
    return found


async def answer(channel: grpc.aio.Channel, hostile: Hostile) -> tuple[str, str]:
    """Return the code and the reason that the request gets; a refusal never comes without a message."""
    kind = channel.unary_stream if hostile.method == STREAM else channel.unary_unary
    call = kind(hostile.method)(hostile.data, timeout=60, metadata=hostile.metadata)
    code, message = await call.code(), await call.details()
    assert message or code is grpc.StatusCode.OK
    details = dict(await call.trailing_metadata()).get(status.DETAILS_KEY, b"")
    return code.name, status.reason_of(status.status_pb2.Status.FromString(details))


async def is_alive(channel: grpc.aio.Channel) -> bool:
    message = health_pb2.HealthCheckRequest(service="liveness")
    response = await health_pb2_grpc.HealthStub(channel).Check(message, timeout=60)
    return response.status == health_pb2.HealthCheckResponse.SERVING
