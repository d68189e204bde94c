"""The life of a server process: start, loading, serving and end."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from marquee.v1 import recognizer_pb2 as pb
from services.runtime import status
from services.runtime.server import health
from tests.support.processes import PATIENCE, free_port, metric
from tests.support.servers import LeafProcess, request

pytestmark = pytest.mark.slow

Start = Callable[..., LeafProcess]
Health = health_pb2.HealthCheckResponse


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts a server, which ends with the test."""
    started: list[LeafProcess] = []

    def start(*arguments: str | Path, **environment: str) -> LeafProcess:
        started.append(LeafProcess(tmp_path, *arguments, **environment))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture(scope="module")
def loading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LeafProcess]:
    """Yield a server whose model takes ten minutes to load."""
    server = LeafProcess(tmp_path_factory.mktemp("loading"), "--load-seconds", "600")
    yield server
    server.close()


async def test_while_loading_it_is_alive_but_not_ready(loading: LeafProcess) -> None:
    """A loading server is alive but not ready, so it is neither restarted nor called."""
    names = ("liveness", "readiness", "", "marquee.v1.RecognizerService")
    states = [await loading.health(name) for name in names]
    assert states == [Health.SERVING, Health.NOT_SERVING, Health.NOT_SERVING, Health.NOT_SERVING]


async def test_while_loading_it_refuses_calls(loading: LeafProcess) -> None:
    """A call before loading ends gets UNAVAILABLE, MODEL_NOT_READY."""
    async with loading.client() as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.RecognizeImage(request(), timeout=PATIENCE)
    refused = status.from_rpc_error(caught.value)
    assert (status.code_of(refused), status.reason_of(refused)) == (grpc.StatusCode.UNAVAILABLE, "MODEL_NOT_READY")


async def test_once_loaded_it_serves(start: Start) -> None:
    """After loading, readiness is SERVING and calls are answered."""
    server = start("--load-seconds", "0.2")
    await server.serving()
    async with server.client() as client:
        answer = await client.RecognizeImage(request(), timeout=PATIENCE)
    assert answer.results[0].outcome == pb.OUTCOME_OK


async def test_sigterm_while_loading_ends_it(start: Start) -> None:
    """A server that is stopped before it is ready exits with 0."""
    server = start("--load-seconds", "600")
    assert await server.health("liveness") == Health.SERVING
    server.process.send_signal(signal.SIGTERM)
    assert await server.ended() == 0


async def test_a_model_that_cannot_be_loaded_ends_it(start: Start) -> None:
    """A domain error while loading is logged as one line without a traceback, and the process exits with 1."""
    server = start("--load-error", "MARQUEE_MODEL names no file.")
    assert await server.ended() == 1
    assert [line["error"] for line in server.events("cannot serve")] == ["MARQUEE_MODEL names no file."]
    assert "Traceback" not in str(server.log())


@pytest.mark.parametrize("variable", ["MARQUEE_PORT", "MARQUEE_METRICS_PORT"])
async def test_a_taken_port_ends_it(start: Start, variable: str) -> None:
    """If a port is taken, the log names the variable that changes it, and the process exits with 1."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        server = start(**{variable: str(other.getsockname()[1])})
        assert await server.ended() == 1
    (line,) = server.events("cannot serve")
    assert variable in str(line["error"])


async def test_sigterm_lets_a_running_call_end(start: Start, tmp_path: Path) -> None:
    """After SIGTERM, the server answers its running call and exits with 0."""
    go = tmp_path / "go"
    server = start("--until", go)
    await server.serving()
    async with server.client() as client:
        call = client.RecognizeImage(request(), timeout=PATIENCE)
        await server.begun()
        await server.stop()
        go.touch()
        assert (await call).results[0].outcome == pb.OUTCOME_OK
    assert await server.ended() == 0


async def test_draining_has_an_end(start: Start) -> None:
    """A call that outlasts MARQUEE_DRAIN_SECONDS is cut off, and the process still exits with 0."""
    server = start("--seconds", "600", MARQUEE_DRAIN_SECONDS="0.2")
    await server.serving()
    async with server.client() as client:
        call = client.RecognizeImage(request(), timeout=PATIENCE)
        await server.begun()
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(grpc.aio.AioRpcError):
            await call
    assert await server.ended() == 0


async def test_old_connections_finish_their_calls(start: Start) -> None:
    """A call goes on when its connection has reached its age, up to the call's own deadline."""
    server = start("--seconds", "3", MARQUEE_MAX_CONNECTION_AGE_SECONDS="1")
    await server.serving()
    async with server.client() as client:
        assert (await client.RecognizeImage(request(), timeout=PATIENCE)).results[0].outcome == pb.OUTCOME_OK


async def test_before_draining_it_still_takes_calls(start: Start) -> None:
    """For MARQUEE_DRAIN_DELAY_SECONDS, the server is NOT_SERVING but answers callers that have not noticed yet."""
    server = start(MARQUEE_DRAIN_DELAY_SECONDS="300")
    await server.serving()
    async with server.client() as client:
        await server.stop()
        assert (await client.RecognizeImage(request(), timeout=PATIENCE)).results[0].outcome == pb.OUTCOME_OK


async def test_a_watch_outlives_another_of_the_same_name(start: Start) -> None:
    """When one of two watches of a name ends, the other still gets every change."""
    server = start(MARQUEE_DRAIN_DELAY_SECONDS="300")
    await server.serving()
    message = health_pb2.HealthCheckRequest(service="readiness")
    async with grpc.aio.insecure_channel(server.address) as channel:
        first, second = (HealthStub(channel).Watch(message) for _ in range(2))
        assert (await first.read()).status == (await second.read()).status == Health.SERVING
        first.cancel()
        await HealthStub(channel).Check(message)
        server.process.send_signal(signal.SIGTERM)
        assert (await second.read()).status == Health.NOT_SERVING


async def test_watches_are_bounded(start: Start) -> None:
    """Of 1,001 watches the last is refused, and health is answered beside them."""
    server = start()
    await server.serving()
    async with AsyncExitStack() as stack:
        own = [("grpc.use_local_subchannel_pool", 1)]
        channels = (grpc.aio.insecure_channel(server.address, options=own) for _ in range(2))
        stubs = [HealthStub(await stack.enter_async_context(channel)) for channel in channels]
        message = health_pb2.HealthCheckRequest(service="é" * 128)
        watches = []
        for _ in range(10):  # a hundred at a time, since requests that arrive need room, too
            watches += [stubs[n % 2].Watch(message) for n in range(100)]
            firsts = await asyncio.gather(*(watch.read() for watch in watches[-100:]))
            assert {one.status for one in firsts} == {Health.SERVICE_UNKNOWN}
        assert await stubs[0].Watch(message).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await server.health("liveness") == Health.SERVING
        watches[0].cancel()
        await _watching(stubs[1], message)


async def _watching(stub: HealthStub, message: health_pb2.HealthCheckRequest) -> None:
    """Wait until there is room for a watch."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                await stub.Watch(message).read()
                return
            await asyncio.sleep(0.05)


async def test_a_watcher_does_not_hold_up_the_end(start: Start) -> None:
    """A health watcher gets NOT_SERVING, and its stream ends at once, not after the whole drain."""
    server = start(MARQUEE_DRAIN_SECONDS="300")
    await server.serving()
    async with grpc.aio.insecure_channel(server.address) as channel:
        message = health_pb2.HealthCheckRequest(service="readiness")
        responses = HealthStub(channel).Watch(message, timeout=PATIENCE)
        statuses = [response.status async for response in _stopping(server, responses)]
    assert statuses == [Health.SERVING, Health.NOT_SERVING]
    assert await server.ended() == 0


async def test_a_watcher_hears_of_the_end_however_soon_it_comes() -> None:
    """Who watches is told NOT_SERVING even if the watches end before there was a turn to tell it."""
    server, stop = grpc.aio.server(), asyncio.Event()
    checks = health.Health((server,), ())
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        responses = HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
        statuses = [(await responses.read()).status]

        async def stop_when_serving() -> None:
            statuses.append((await responses.read()).status)
            stop.set()

        stopping = asyncio.create_task(stop_when_serving())
        await checks.follow(lambda: True, stop)
        checks.close()
        await stopping
        statuses.append((await responses.read()).status)
        assert await responses.read() is grpc.aio.EOF
    await server.stop(None)
    assert statuses == [Health.NOT_SERVING, Health.SERVING, Health.NOT_SERVING]


async def _stopping(
    server: LeafProcess, responses: AsyncIterable[health_pb2.HealthCheckResponse]
) -> AsyncIterator[health_pb2.HealthCheckResponse]:
    """Yield the responses of Watch; stop the server after the first one."""
    async for response in responses:
        yield response
        if response.status == Health.SERVING:
            server.process.send_signal(signal.SIGTERM)


@pytest.mark.parametrize(("host", "reached"), [("::1", ["[::1]"]), ("::", ["[::1]", "127.0.0.1"])])
async def test_it_listens_on_ipv6_addresses(start: Start, host: str, reached: list[str]) -> None:
    """MARQUEE_HOST accepts ::1 without brackets, and :: for all addresses of both kinds, on every port."""
    if not _has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    health_port = free_port()
    open_to_all = {"MARQUEE_ALLOW_ANONYMOUS": "true", "MARQUEE_HEALTH_PORT": str(health_port)}
    server = start(MARQUEE_HOST=host, **open_to_all)
    ports = [server.address.rpartition(":")[2]] + [str(health_port)] * (host == "::")
    for address in (f"{name}:{port}" for name in reached for port in ports):
        async with grpc.aio.insecure_channel(address) as channel:
            message = health_pb2.HealthCheckRequest(service="liveness")
            response = await HealthStub(channel).Check(message, timeout=PATIENCE, wait_for_ready=True)
        assert response.status == Health.SERVING
    for name in reached:
        assert metric(server.metrics_url.replace("127.0.0.1", name), "python_info", "") == 1


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True
