"""Gateways behind gateways."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import pytest

from marquee.v1 import recognizer_pb2 as pb
from services.runtime import status
from services.runtime.errors import Throttled
from tests.support.processes import free_port
from tests.support.servers import LEFT, NEAR_LEFT, Scripted, Stub, face, gateway, gateway_client, leaf, request, stub


@asynccontextmanager
async def world(inner: dict[str, Scripted], own: dict[str, Scripted]) -> AsyncIterator[Stub]:
    """Yield a client of a gateway over its own recognizers and the gateway `region`, which has the inner ones."""
    async with AsyncExitStack() as stack:
        behind = {name: await stack.enter_async_context(leaf(one)) for name, one in inner.items()}
        region = await stack.enter_async_context(gateway(behind, name="west"))
        beside = {name: await stack.enter_async_context(leaf(one)) for name, one in own.items()}
        address = await stack.enter_async_context(gateway(beside | {"region": region}, name="world"))
        yield await stack.enter_async_context(stub(address))


@asynccontextmanager
async def chain(gateways: int) -> AsyncIterator[Stub]:
    """Yield a client of a chain of so many gateways, with one recognizer at its end."""
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(leaf(Scripted("svm")))
        for number in range(gateways):
            name = "svm" if number == 0 else "next"
            address = await stack.enter_async_context(gateway({name: address}))
        yield await stack.enter_async_context(stub(address))


async def test_names_what_is_behind_a_gateway() -> None:
    """A recognizer behind the gateway configured as `region` is named region/NAME in results and in lists."""
    inner = {"svm": Scripted("svm"), "keras": Scripted("keras")}
    async with world(inner, {"svm": Scripted("svm")}) as client:
        response = await client.RecognizeImage(request())
        listed = await client.ListRecognizers(pb.ListRecognizersRequest())
    assert [one.recognizer for one in response.results] == ["svm", "region/svm", "region/keras"]
    assert [one.name for one in listed.recognizers] == ["svm", "region/svm", "region/keras"]
    assert (response.gateway, listed.gateway) == ("world", "world")


async def test_the_outermost_gateway_makes_the_verdicts() -> None:
    """A face found by an outer and an inner recognizer has one verdict, which both support."""
    here = pb.RecognizerResult(faces=[face(LEFT, "Ada", 0.9)])
    there = pb.RecognizerResult(faces=[face(NEAR_LEFT, "Ada", 0.8)])
    async with world({"svm": Scripted("svm", result=there)}, {"svm": Scripted("svm", result=here)}) as client:
        response = await client.RecognizeImage(request())
    assert [[one.recognizer for one in verdict.support] for verdict in response.verdicts] == [["svm", "region/svm"]]


async def test_calls_only_one_behind_a_gateway() -> None:
    """A request for region/svm calls that recognizer and no other, outer or inner."""
    inner = {"svm": Scripted("svm"), "keras": Scripted("keras")}
    own = Scripted("svm")
    async with world(inner, {"svm": own}) as client:
        response = await client.RecognizeImage(request(recognizers=["region/svm"]))
    assert [one.recognizer for one in response.results] == ["region/svm"]
    assert (inner["keras"].calls, own.calls) == ([], [])


async def test_options_reach_one_behind_a_gateway() -> None:
    """Options for region/svm reach svm behind `region` and no outer recognizer."""
    inner, own = Scripted("svm"), Scripted("svm")
    async with world({"svm": inner}, {"svm": own}) as client:
        options = pb.RecognizerOptions(timeout={"seconds": 2})
        await client.RecognizeImage(request(recognizer_options={"region/svm": options}))
    assert inner.calls[0].deadline < own.calls[0].deadline - 1


async def test_a_failure_behind_a_gateway_is_a_result() -> None:
    """A recognizer that fails behind `region` is an ERROR result under its name."""
    inner = {"svm": Scripted("svm"), "aws": Scripted("aws", error=Throttled("slow"))}
    async with world(inner, {}) as client:
        response = await client.RecognizeImage(request())
    assert [(one.recognizer, one.outcome) for one in response.results] == [
        ("region/svm", pb.OUTCOME_OK),
        ("region/aws", pb.OUTCOME_ERROR),
    ]


async def test_four_gateways_are_allowed() -> None:
    """A call passes through four gateways."""
    async with chain(4) as client:
        response = await client.RecognizeImage(request())
    assert [one.recognizer for one in response.results] == ["next/next/next/svm"]


async def test_a_fifth_gateway_refuses() -> None:
    """The fifth gateway refuses with FAILED_PRECONDITION, which reaches the caller unchanged."""
    async with chain(5) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.RecognizeImage(request())
    refused = status.from_rpc_error(caught.value)
    assert (status.code_of(refused), status.reason_of(refused)) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "TOO_MANY_HOPS",
    )


async def test_a_gateway_that_calls_itself_stops() -> None:
    """A gateway that calls itself stops after a few hops, and its other recognizers still answer."""
    port = free_port()
    async with leaf(Scripted("svm")) as svm:
        backends = {"self": f"127.0.0.1:{port}", "svm": svm}
        async with gateway(backends, port=port) as address, stub(address) as client:
            response = await client.RecognizeImage(request(), timeout=60)
    names = {one.recognizer for one in response.results if one.outcome == pb.OUTCOME_OK}
    assert names == {"svm", "self/svm", "self/self/svm", "self/self/self/svm"}


async def test_a_nonsensical_hop_count_is_refused() -> None:
    """A caller that sends a hop count of 5,000 digits gets FAILED_PRECONDITION, not INTERNAL."""
    async with gateway_client(Scripted("svm")) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.RecognizeImage(request(), metadata=(("marquee-hops", "9" * 5000),))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
