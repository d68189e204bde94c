"""How a server receives requests: from senders that stall, that send what is no request, or that keep to no rule."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest
from google.rpc import status_pb2
from prometheus_client import REGISTRY

from marquee.v1 import recognizer_pb2 as pb
from marquee.v1 import recognizer_pb2_grpc
from services.runtime import status
from services.runtime.limits import MIB
from services.runtime.server.server import RECOGNIZER_SERVICE, Service
from services.runtime.status import StatusError
from tests.support import senders
from tests.support.processes import PATIENCE, memory_mib
from tests.support.servers import LeafProcess, Scripted, leaf, picture, request, served, stub, until

UNARY = f"/{RECOGNIZER_SERVICE}/RecognizeImage"
STREAM = f"/{RECOGNIZER_SERVICE}/StreamRecognizeImage"
CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
ALMOST_15_MIB = senders.message(bytes(15 * MIB))[:-1]
OF_100_KB = pb.RecognizeImageRequest(image=pb.Image(content=picture().ljust(100_000, b"\0")))


def in_flight() -> float:
    return REGISTRY.get_sample_value("marquee_in_flight_bytes") or 0


def handled(code: str, method: str = "RecognizeImage") -> float:
    labels = {"grpc_type": "unary", "grpc_service": RECOGNIZER_SERVICE, "grpc_method": method, "grpc_code": code}
    return REGISTRY.get_sample_value("grpc_server_handled_total", labels) or 0


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Yield a server with the least memory for requests."""
    server = LeafProcess(tmp_path_factory.mktemp("receipt"), MARQUEE_MAX_IN_FLIGHT_MIB="16")
    yield server
    server.close()


@asynccontextmanager
async def stalled(address: str, paths: list[str], connections: int = 1) -> AsyncIterator[list[senders.Connection]]:
    """Begin a call for each path, over so many connections; send almost all of it as far as the server reads."""
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(senders.connection(address)) for _ in range(connections)]
        tasks = [
            asyncio.create_task(caller.send(caller.call(path), ALMOST_15_MIB))
            for path, caller in zip(paths, callers * len(paths), strict=False)
        ]
        try:
            yield callers
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.slow
@pytest.mark.parametrize("connections", [1, 60])
@pytest.mark.parametrize("path", [UNARY, STREAM, CHECK, WATCH, REFLECTION])
async def test_streams_that_stall_hold_little_memory(process: LeafProcess, path: str, connections: int) -> None:
    """While 60 requests stop a byte short of 15 MiB, others are answered within 1 s; memory stays within its bound."""
    await process.serving()
    before = memory_mib(process.process.pid)
    seconds = []
    async with stalled(process.address, [path] * 60, connections) as callers, process.client() as client:
        await until(lambda: sum(caller.sent for caller in callers) > 60_000)
        for _ in range(10):
            begin = asyncio.get_running_loop().time()
            await client.RecognizeImage(OF_100_KB, timeout=PATIENCE)
            await process.health("liveness")
            seconds.append(asyncio.get_running_loop().time() - begin)
    assert sorted(seconds)[5] < 1
    assert memory_mib(process.process.pid, "VmHWM") < before + 16 + 224


async def test_stalled_hosts_do_not_lock_others_out() -> None:
    """When every place is taken by another host's stalled request, a new call still gets one."""
    async with leaf(Scripted()) as address, AsyncExitStack() as stack:
        for number in range(2, 18):
            caller = await stack.enter_async_context(senders.connection(address, f"127.0.0.{number}"))
            await caller.send(caller.call(), senders.message(bytes(100))[:-1])
        await until(lambda: in_flight() >= 4 * 16 * MIB)
        client = await stack.enter_async_context(stub(address))
        assert (await client.RecognizeImage(OF_100_KB, timeout=PATIENCE)).results[0].outcome == pb.OUTCOME_OK


async def test_the_host_with_most_places_gives_way() -> None:
    """A host's only request keeps its place while another host has several."""
    async with (
        leaf(Scripted()) as address,
        senders.connection(address, "127.0.0.2") as slow,
        senders.connection(address, "127.0.0.3") as greedy,
    ):
        body = senders.message(request().SerializeToString())
        patient = slow.call()
        await slow.send(patient, body[:-1])
        for _ in range(16):
            await greedy.send(greedy.call(), body[:-1])
        await until(lambda: in_flight() >= 4 * 16 * MIB)
        async with stub(address) as client:
            for _ in range(4):
                await client.RecognizeImage(OF_100_KB, timeout=PATIENCE)
        assert greedy.ended
        assert not slow.ended
        await slow.send(patient, body[-1:], end=True)
        await slow.until(lambda: patient in slow.ended)


async def test_a_connection_that_ends_frees_its_places() -> None:
    """Requests whose caller goes away in the middle hold nothing."""
    async with leaf(Scripted()) as address:
        async with stalled(address, [UNARY, STREAM] * 2):
            await until(lambda: in_flight() >= 4 * 16 * MIB)
        await until(lambda: in_flight() == 0)


@pytest.mark.parametrize("path", [UNARY, STREAM])
async def test_a_request_in_pieces_is_answered(path: str) -> None:
    """A request that comes byte by byte is answered once it is whole."""
    body = senders.message(request().SerializeToString())
    async with leaf(Scripted()) as address, senders.connection(address) as caller:
        call = caller.call(path)
        for start in range(len(body)):
            await caller.send(call, body[start : start + 1], end=start == len(body) - 1)
        await caller.until(lambda: call in caller.ended)


class Heedless(Service, recognizer_pb2_grpc.RecognizerServiceServicer):
    """A service that takes for ever, or fails with a status that its caller chooses by the request's id."""

    def register(self, server: grpc.aio.Server) -> tuple[str]:
        recognizer_pb2_grpc.add_RecognizerServiceServicer_to_server(self, server)
        return (RECOGNIZER_SERVICE,)

    async def load(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def RecognizeImage(  # noqa: N802 - the contract's name
        self, request: pb.RecognizeImageRequest, context: object
    ) -> None:
        del context
        if request.request_id:
            raise StatusError(status_pb2.Status(code=int(request.request_id), message="It failed."))
        await asyncio.sleep(300)

    async def StreamRecognizeImage(  # noqa: N802 - the contract's name
        self, request: object, context: object
    ) -> AsyncIterator[pb.RecognizeImageResponse]:
        del request, context
        while True:
            yield pb.RecognizeImageResponse()
            await asyncio.sleep(1)


@pytest.mark.slow
async def test_a_call_without_a_deadline_ends() -> None:
    """Whatever it waits for - the service, the request, the rest of it - a call ends after the default deadline."""
    begin = asyncio.get_running_loop().time()
    async with served(Heedless()) as address, senders.connection(address) as caller:
        whole = senders.message(request().SerializeToString())
        calls = [caller.call(path) for path in (UNARY, STREAM, UNARY, UNARY, UNARY)]
        for call, body, end in zip(calls, (whole, whole, b"", b"", whole[:-1]), "yynyn", strict=True):
            await caller.send(call, body, end=end == "y")
        await caller.until(lambda: caller.ended.issuperset(calls))
        await until(lambda: handled("DeadlineExceeded", "RecognizeImage") >= 4)
    assert asyncio.get_running_loop().time() - begin > 11


@pytest.mark.parametrize(("code", "expected"), [(0, "INTERNAL"), (99, "UNKNOWN"), (5, "NOT_FOUND")])
async def test_a_failure_is_never_ok(code: int, expected: str) -> None:
    """A call that fails with the status OK, or with one that gRPC does not have, ends as a failure."""
    async with served(Heedless()) as address, stub(address) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.RecognizeImage(request(request_id=str(code)), timeout=PATIENCE)
    assert caught.value.code().name == expected


async def send(channel: grpc.aio.Channel, path: str, *messages: bytes, seconds: float = PATIENCE) -> Any:
    """Return the last response to the messages."""
    call = channel.stream_stream(path)(timeout=seconds)
    for each in messages:
        await call.write(each)
    await call.done_writing()
    return [response async for response in call][-1]


GARBAGE = {"tags": b"\xff\xff\xff", "a length": b"\x0a\x7f", "utf-8": b"\x0a\x02\xff\xfe", "groups": b"\x0b\x0b"}


@pytest.mark.parametrize("path", [UNARY, STREAM, CHECK, WATCH, REFLECTION])
async def test_bytes_that_do_not_parse_are_refused(process: LeafProcess, path: str) -> None:
    """They get INVALID_ARGUMENT with a reason, and at most a line of the log without a traceback."""
    async with grpc.aio.insecure_channel(process.address) as channel:
        await channel.channel_ready()
        for garbage in GARBAGE.values():
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await send(channel, path, garbage)
            refused = status.from_rpc_error(caught.value)
            assert (caught.value.code(), status.reason_of(refused)) == (
                grpc.StatusCode.INVALID_ARGUMENT,
                "MALFORMED_REQUEST",
            )
    assert not process.events("unforeseen")


async def test_bytes_that_do_not_parse_are_counted() -> None:
    """They count as a call that ended with INVALID_ARGUMENT."""
    before = handled("InvalidArgument")
    async with leaf(Scripted()) as address, grpc.aio.insecure_channel(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await send(channel, UNARY, b"\xff")
    assert handled("InvalidArgument") == before + 1


async def test_a_second_request_is_ignored() -> None:
    """As everywhere in gRPC for Python, a unary call of two messages is a call of the first."""
    message = request(request_id="first").SerializeToString()
    async with leaf(Scripted()) as address, grpc.aio.insecure_channel(address) as channel:
        response = await send(channel, UNARY, message, b"\xff")
    assert pb.RecognizeImageResponse.FromString(response).request_id == "first"


async def test_a_call_without_a_request_waits_for_it() -> None:
    """As everywhere in gRPC for Python, a unary call of no message ends at its deadline."""
    async with leaf(Scripted()) as address, grpc.aio.insecure_channel(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await send(channel, UNARY, seconds=0.5)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.slow
async def test_a_compressed_bomb_is_refused(process: LeafProcess) -> None:
    """A message that unpacks to more than 16 MiB gets RESOURCE_EXHAUSTED and is never unpacked as a whole."""
    bomb = pb.RecognizeImageRequest(image=pb.Image(content=bytes(64 * MIB))).SerializeToString()
    options = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(process.address, options=options) as channel:
        await channel.channel_ready()
        before = memory_mib(process.process.pid, "VmHWM")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(UNARY)(bomb, compression=grpc.Compression.Gzip, timeout=PATIENCE)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert memory_mib(process.process.pid, "VmHWM") < before + 48


@pytest.mark.parametrize("size", [17_000, 1_000_000])
async def test_metadata_over_the_limit_is_refused(size: int) -> None:
    """A call with more than 16 KiB of metadata gets RESOURCE_EXHAUSTED; the next one is answered."""
    async with leaf(Scripted()) as address, stub(address) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.RecognizeImage(request(), metadata=(("x", "y" * size),), timeout=PATIENCE)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await client.RecognizeImage(request(), metadata=(("x", "y" * 15_000),), timeout=PATIENCE)


async def test_calls_over_the_limit_of_a_connection_wait() -> None:
    """A server takes 1,000 calls at once on a connection; further ones wait at the client and are answered, too."""
    async with leaf(Scripted()) as address, stub(address) as client, senders.connection(address) as caller:
        await caller.until(lambda: caller.settings.get(senders.MAX_CONCURRENT_STREAMS) == 1000)
        calls = [client.ListRecognizers(pb.ListRecognizersRequest(), timeout=PATIENCE) for _ in range(1100)]
        responses = await asyncio.gather(*calls)
    assert all(response.recognizers for response in responses)


@pytest.mark.slow
async def test_a_burst_of_large_requests_holds_little_memory(process: LeafProcess) -> None:
    """Whether requests are answered or refused, memory stays within its bound."""
    await process.serving()
    before = memory_mib(process.process.pid)
    large = pb.RecognizeImageRequest(image=pb.Image(content=picture().ljust(15 * MIB, b"\0")))
    async with process.client() as client:
        await asyncio.gather(
            *(client.RecognizeImage(large, timeout=PATIENCE) for _ in range(24)), return_exceptions=True
        )
    assert memory_mib(process.process.pid, "VmHWM") < before + 16 + 224
