"""Gateways behind gateways."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import pytest

from marquee.v1 import recognizer_pb2 as pb
from services.runtime import status
from services.runtime.errors import Throttled
from tests.support.processes import free_port
from tests.support.servers import LEFT, NEAR_LEFT, Scripted, Stub, face, gateway, leaf, request, stub


@asynccontextmanager
async def world(inner: dict[str, Scripted], own: dict[str, Scripted]) -> AsyncIterator[Stub]:
    """A client of a gateway over its own recognizers and over the gateway `region`, which has the inner ones."""
    async with AsyncExitStack() as stack:
        behind = {name: await stack.enter_async_context(leaf(one)) for name, one in inner.items()}
        region = await stack.enter_async_context(gateway(behind, name="west"))
        beside = {name: await stack.enter_async_context(leaf(one)) for name, one in own.items()}
        address = await stack.enter_async_context(gateway(beside | {"region": region}, name="world"))
        yield await stack.enter_async_context(stub(address))


@asynccontextmanager
async def chain(gateways: int) -> AsyncIterator[Stub]:
    """A client of so many gateways, one behind the other, before one recognizer."""
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(leaf(Scripted("svm")))
        for number in range(gateways):
            name = "svm" if number == 0 else "next"
            address = await stack.enter_async_context(gateway({name: address}))
        yield await stack.enter_async_context(stub(address))


async def test_names_what_is_behind_a_gateway() -> None:
    """A recognizer behind the gateway that is configured as `region` is region/NAME, in results and in lists."""
    inner = {"svm": Scripted("svm"), "keras": Scripted("keras")}
    async with world(inner, {"svm": Scripted("svm")}) as client:
        response = await client.RecognizeImage(request())
        listed = await client.ListRecognizers(pb.ListRecognizersRequest())
    assert [one.recognizer for one in response.results] == ["svm", "region/svm", "region/keras"]
    assert [one.name for one in listed.recognizers] == ["svm", "region/svm", "region/keras"]
    assert (response.gateway, listed.gateway) == ("world", "world")


async def test_the_outermost_judges() -> None:
    """A face seen here and there has one verdict, with both as support."""
    here = pb.RecognizerResult(faces=[face(LEFT, "Ada", 0.9)])
    there = pb.RecognizerResult(faces=[face(NEAR_LEFT, "Ada", 0.8)])
    async with world({"svm": Scripted("svm", result=there)}, {"svm": Scripted("svm", result=here)}) as client:
        response = await client.RecognizeImage(request())
    assert [[one.recognizer for one in verdict.support] for verdict in response.verdicts] == [["svm", "region/svm"]]


async def test_asks_only_one_behind_a_gateway() -> None:
    """region/svm asks that one and nobody else, here or there."""
    inner = {"svm": Scripted("svm"), "keras": Scripted("keras")}
    own = Scripted("svm")
    async with world(inner, {"svm": own}) as client:
        response = await client.RecognizeImage(request(recognizers=["region/svm"]))
    assert [one.recognizer for one in response.results] == ["region/svm"]
    assert (inner["keras"].calls, own.calls) == ([], [])


async def test_options_reach_one_behind_a_gateway() -> None:
    """Options for region/svm are svm's there, and nobody's here."""
    inner, own = Scripted("svm"), Scripted("svm")
    async with world({"svm": inner}, {"svm": own}) as client:
        await client.RecognizeImage(request(recognizer_options={"region/svm": pb.RecognizerOptions(min_score=0.75)}))
    assert (inner.calls[0].min_score, own.calls[0].min_score) == (0.75, 0)


async def test_a_failure_behind_a_gateway_is_a_result() -> None:
    """A recognizer that fails there is a result here, under its name."""
    inner = {"svm": Scripted("svm"), "aws": Scripted("aws", error=Throttled("slow"))}
    async with world(inner, {}) as client:
        response = await client.RecognizeImage(request())
    assert [(one.recognizer, one.outcome) for one in response.results] == [
        ("region/svm", pb.OUTCOME_OK),
        ("region/aws", pb.OUTCOME_ERROR),
    ]


async def test_four_gateways_are_a_way() -> None:
    """A call goes through four gateways."""
    async with chain(4) as client:
        response = await client.RecognizeImage(request())
    assert [one.recognizer for one in response.results] == ["next/next/next/svm"]


async def test_five_gateways_are_a_ring() -> None:
    """The fifth gateway refuses: FAILED_PRECONDITION, which the caller gets as it is."""
    async with chain(5) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.RecognizeImage(request())
    refused = status.from_rpc_error(caught.value)
    assert (status.code_of(refused), status.reason_of(refused)) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "TOO_MANY_HOPS",
    )


async def test_a_gateway_that_asks_itself_stops() -> None:
    """A ring ends after a few hops, with the recognizers beside it intact."""
    port = free_port()
    async with leaf(Scripted("svm")) as svm:
        backends = {"self": f"127.0.0.1:{port}", "svm": svm}
        async with gateway(backends, port=port) as address, stub(address) as client:
            response = await client.RecognizeImage(request(), timeout=60)
    names = {one.recognizer for one in response.results if one.outcome == pb.OUTCOME_OK}
    assert names == {"svm", "self/svm", "self/self/svm", "self/self/self/svm"}


async def test_nonsense_about_hops_is_no_error_on_our_side() -> None:
    """A caller that writes a number of 5,000 digits into the metadata is refused, not INTERNAL."""
    async with leaf(Scripted("svm")) as svm, gateway({"svm": svm}) as address, stub(address) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.RecognizeImage(request(), metadata=(("marquee-hops", "9" * 5000),))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
