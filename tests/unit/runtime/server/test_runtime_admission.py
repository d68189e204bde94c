"""Requests in memory: how many a server takes at once, and that it lets them go."""

import asyncio
import gc
from types import FrameType

import grpc
import pytest
from prometheus_client import REGISTRY

from marquee.v1 import recognizer_pb2 as pb
from services.runtime import status
from services.runtime.leaf.leaf import Leaf
from services.runtime.settings import LeafSettings
from tests.support.servers import Scripted, request, served, stub, until


def in_flight() -> float:
    return REGISTRY.get_sample_value("marquee_in_flight_bytes") or 0


async def test_refuses_what_would_be_too_much_together() -> None:
    """A call that would bring more than the limit is refused with a reason; those before and after it are answered."""
    asked, go = request(), asyncio.Event()
    most = int(asked.ByteSize() * 1.5)
    async with (
        served(Leaf(Scripted("svm", until=go.is_set), LeafSettings()), most_bytes=most) as target,
        stub(target) as svm,
    ):
        first = asyncio.ensure_future(svm.RecognizeImage(asked))
        await until(lambda: in_flight() > 0)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await svm.RecognizeImage(asked)
        assert status.reason_of(status.from_rpc_error(caught.value)) == "OVERLOADED"
        go.set()
        await first
        await svm.RecognizeImage(asked)
    assert in_flight() == 0


async def test_a_refused_request_is_let_go_at_once() -> None:
    """Nothing that waits for the garbage collector holds a picture: large ones would fill the memory until then."""
    async with served(Leaf(Scripted("svm"), LeafSettings())) as target, stub(target) as svm:
        gc.collect()
        gc.disable()
        try:
            with pytest.raises(grpc.aio.AioRpcError):
                await svm.RecognizeImage(pb.RecognizeImageRequest(image=pb.Image(content=b"no picture")))
            assert _held_by_garbage() == []
        finally:
            gc.enable()


def _held_by_garbage() -> list[str]:
    """Which functions' frames in cycles have a request."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        frames = [each for each in gc.garbage if isinstance(each, FrameType)]
        return [each.f_code.co_qualname for each in frames if _has_request(each)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


def _has_request(frame: FrameType) -> bool:
    return any(isinstance(value, pb.RecognizeImageRequest) for value in frame.f_locals.values())
