"""How many calls a gateway takes at once, and who is refused first."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2
from prometheus_client import REGISTRY

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.backends.backend import RECOGNIZE_IMAGE
from services.gateway.config import BackendConfig, CacheConfig
from services.runtime import status
from services.runtime.server.server import RECOGNIZER_SERVICE
from tests.support.servers import (
    LeafProcess,
    Scripted,
    Stub,
    code_and_reason,
    gateway,
    gateway_of,
    leaf,
    outcomes,
    request,
    stub,
    until,
)

BATCH = (("marquee-priority", "batch"),)


class Crowd:
    """Calls that a recognizer keeps until `go` is set."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.svm = Scripted("svm", until=self.go.is_set)
        self.address = ""
        self._running: list[Awaitable[Any]] = []

    async def fill(self, client: Stub, calls: int, metadata: tuple[tuple[str, str], ...] = ()) -> None:
        """Make so many calls, and wait until the recognizer has them."""
        expected = len(self.svm.calls) + calls
        self._running += [asyncio.ensure_future(_recognize(client, metadata)) for _ in range(calls)]
        await until(lambda: len(self.svm.calls) == expected)

    async def end(self) -> list[pb.RecognizeImageResponse]:
        """Return the calls' responses."""
        self.go.set()
        return await asyncio.gather(*self._running)


async def _recognize(client: Stub, metadata: tuple[tuple[str, str], ...] = ()) -> pb.RecognizeImageResponse:
    response: pb.RecognizeImageResponse = await client.RecognizeImage(request(), metadata=metadata)
    return response


async def _refused(client: Stub, metadata: tuple[tuple[str, str], ...] = ()) -> status_pb2.Status:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _recognize(client, metadata)
    return status.from_rpc_error(caught.value)


def wait_of(refused: status_pb2.Status) -> float:
    """Return after how many seconds to try again; 0 if it does not say so."""
    info = error_details_pb2.RetryInfo()
    return next((info.retry_delay.ToNanoseconds() / 1e9 for one in refused.details if one.Unpack(info)), 0)


@asynccontextmanager
async def crowded(places: int, *others: Scripted) -> AsyncIterator[tuple[Crowd, Stub]]:
    """Yield a crowd and a client of a gateway whose recognizers have that many places each."""
    crowd = Crowd()
    async with AsyncExitStack() as stack:
        targets = {one.name: await stack.enter_async_context(leaf(one)) for one in (crowd.svm, *others)}
        backends = {name: BackendConfig(target=target, max_in_flight=places) for name, target in targets.items()}
        crowd.address = await stack.enter_async_context(gateway(backends))
        yield crowd, await stack.enter_async_context(stub(crowd.address))


async def test_a_full_gateway_refuses_whole_calls() -> None:
    """With equal limits nobody gets half an answer: a call is taken by all recognizers, or refused with a time."""
    keras = Scripted("keras")
    async with crowded(2, keras) as (crowd, client):
        await crowd.fill(client, 2)
        refused = await _refused(client)
        assert code_and_reason(refused) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
        assert 0.1 <= wait_of(refused) <= 10
        answered = await crowd.end()
        answered.append(await _recognize(client))
    assert [outcomes(one) for one in answered] == [{"svm": "OK", "keras": "OK"}] * 3
    assert len(keras.calls) == 3


async def test_a_full_gateway_is_still_listed() -> None:
    """ListRecognizers takes no place: probes and the page ask it."""
    async with crowded(1) as (crowd, client):
        await crowd.fill(client, 1)
        listed = await client.ListRecognizers(pb.ListRecognizersRequest())
        assert [one.name for one in listed.recognizers] == ["svm"]
        await crowd.end()


@pytest.mark.slow
async def test_a_full_gateway_is_healthy(tmp_path: Path) -> None:
    """Health takes no place either: a gateway that does all it can is not restarted for it."""
    crowd, file = Crowd(), tmp_path / "gateway.yaml"
    async with leaf(crowd.svm) as target:
        file.write_text(f"recognizers: {{svm: {{target: '{target}', max_in_flight: 1}}}}\n")
        full = LeafProcess(tmp_path, module="services.gateway", MARQUEE_GATEWAY_CONFIG=str(file))
        with closing(full):
            await full.serving()
            async with full.client() as client:
                await crowd.fill(client, 1)
                assert status.reason_of(await _refused(client)) == "OVERLOADED"
                assert await full.health() == health_pb2.HealthCheckResponse.SERVING
                await crowd.end()


async def test_a_call_is_refused_before_its_request_is_there() -> None:
    """A full gateway does not wait for the picture of a call that it refuses."""
    async with crowded(1) as (crowd, client):
        await crowd.fill(client, 1)
        async with _silent(crowd) as call:
            assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await crowd.end()


async def test_requests_that_do_not_come_take_no_place() -> None:
    """Callers that send nothing keep nobody out: a call has its place from when its request is there."""
    async with crowded(1) as (crowd, client), _silent(crowd):
        await crowd.fill(client, 1)
        await crowd.end()


@asynccontextmanager
async def _silent(crowd: Crowd) -> AsyncIterator[Any]:
    """Yield a call that has reached the gateway and sends no request."""
    async with grpc.aio.insecure_channel(crowd.address) as channel:
        method: Any = channel.stream_unary(RECOGNIZE_IMAGE.path)
        begun = _begun()
        call = method()
        await call.wait_for_connection()
        await until(lambda: _begun() > begun)
        yield call
        call.cancel()


def _begun() -> float:
    labels = {"grpc_type": "unary", "grpc_service": RECOGNIZER_SERVICE, "grpc_method": "RecognizeImage"}
    return REGISTRY.get_sample_value("grpc_server_started_total", labels) or 0


async def test_batch_leaves_a_quarter_of_the_places() -> None:
    """Batch calls take three quarters of the places, and are refused then; others take all."""
    async with crowded(4) as (crowd, client):
        await crowd.fill(client, 3, BATCH)
        refused = await _refused(client, BATCH)
        assert code_and_reason(refused) == ("RESOURCE_EXHAUSTED", "BATCH_REFUSED")
        assert wait_of(refused) >= 0.1
        await crowd.fill(client, 1)
        assert code_and_reason(await _refused(client)) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
        await crowd.end()


async def test_batch_gives_way_to_others() -> None:
    """Where others have three quarters of the places, batch gets none; alone it gets a gateway's only place."""
    async with crowded(4) as (crowd, client):
        await crowd.fill(client, 3)
        assert code_and_reason(await _refused(client, BATCH)) == ("RESOURCE_EXHAUSTED", "BATCH_REFUSED")
        await crowd.end()
    async with crowded(1) as (crowd, client):
        await crowd.fill(client, 1, BATCH)
        await crowd.end()


@pytest.mark.parametrize("value", ["interactive", "high", "BATCH", ""])
async def test_no_priority_raises(value: str) -> None:
    """Any word but "batch" means nothing: what everybody may send must not be worth sending."""
    async with crowded(1) as (crowd, client):
        await crowd.fill(client, 1)
        refused = await _refused(client, (("marquee-priority", value),))
        assert code_and_reason(refused) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
        await crowd.end()


async def test_priority_is_passed_on() -> None:
    """A gateway behind a gateway knows of batch calls, too: it sheds them while it has places for others."""
    crowd = Crowd()
    async with AsyncExitStack() as stack:
        target = await stack.enter_async_context(leaf(crowd.svm))
        inner = await stack.enter_async_context(gateway({"svm": BackendConfig(target=target, max_in_flight=2)}))
        outer = await stack.enter_async_context(gateway({"inner": inner}))
        client = await stack.enter_async_context(stub(outer))
        await crowd.fill(client, 1, BATCH)
        refused = await _refused(client, BATCH)
        assert status.reason_of(refused) == "BATCH_REFUSED"
        await crowd.fill(client, 1)
        await crowd.end()


async def test_a_batch_shares_its_calls_with_batches_alone() -> None:
    """An equal call that people wait for is made anew: a gateway further on may refuse the batch's."""
    crowd = Crowd()
    async with (
        leaf(crowd.svm) as target,
        gateway({"svm": target}, cache=CacheConfig()) as address,
        stub(address) as client,
    ):
        await crowd.fill(client, 1, BATCH)
        await crowd.fill(client, 1)
        assert [outcomes(one) for one in await crowd.end()] == [{"svm": "OK"}] * 2


async def test_a_shed_result_says_when_to_try_again() -> None:
    """A recognizer with fewer places than the gateway sheds, and its result has the time."""
    crowd = Crowd()
    async with leaf(crowd.svm) as svm, leaf(Scripted("keras")) as keras:
        backends = {"svm": BackendConfig(target=svm, max_in_flight=1), "keras": BackendConfig(target=keras)}
        async with gateway(backends) as address, stub(address) as client:
            await crowd.fill(client, 1)
            half = await _recognize(client)
            alone = client.RecognizeImage(request(recognizers=["svm"]))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await alone
            await crowd.end()
    assert outcomes(half) == {"svm": "SHED", "keras": "OK"}
    assert wait_of(half.results[0].status) >= 0.1
    assert wait_of(status.from_rpc_error(caught.value)) >= 0.1


async def test_the_limit_follows_the_file(tmp_path: Path) -> None:
    """A gateway takes as many calls as its file says, from the next one on; by default its largest recognizer's."""
    crowd, file, wake = Crowd(), tmp_path / "gateway.yaml", asyncio.Event()
    async with leaf(crowd.svm) as target:
        entry = f"cache: {{mib: 0}}\nrecognizers: {{svm: {{target: '{target}', max_in_flight: 2}}}}\n"
        file.write_text(f"max_in_flight: 1\n{entry}")
        async with gateway_of(file, wake) as client:
            await crowd.fill(client, 1)
            assert code_and_reason(await _refused(client)) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
            file.write_text(entry)
            wake.set()
            await until(lambda: _limit() == 2)
            await crowd.fill(client, 1)
            await crowd.end()


def _limit() -> float | None:
    return REGISTRY.get_sample_value("marquee_bulkhead_limit", {"bulkhead": "all calls"})
