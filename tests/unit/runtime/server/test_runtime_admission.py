"""Requests in memory: how many a server takes at once, and that it releases them."""

import asyncio
import gc
import io
from types import FrameType

import grpc
import pytest
from prometheus_client import REGISTRY

from marquee.v1 import recognizer_pb2 as pb
from services.runtime import status
from services.runtime.images.image import Image
from services.runtime.leaf.leaf import Leaf
from services.runtime.settings import LeafSettings
from tests.support.servers import Scripted, request, served, stub, until


def in_flight() -> float:
    return REGISTRY.get_sample_value("marquee_in_flight_bytes") or 0


async def test_refuses_requests_over_the_limit_together() -> None:
    """A call that would exceed the memory limit is refused with a reason; calls before and after it are answered."""
    message, go = request(), asyncio.Event()
    most = int(message.ByteSize() * 1.5)
    async with (
        served(Leaf(Scripted("svm", until=go.is_set), LeafSettings()), most_bytes=most) as target,
        stub(target) as svm,
    ):
        first = asyncio.ensure_future(svm.RecognizeImage(message))
        await until(lambda: in_flight() > 0)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await svm.RecognizeImage(message)
        assert status.reason_of(status.from_rpc_error(caught.value)) == "OVERLOADED"
        go.set()
        await first
        await svm.RecognizeImage(message)
    assert in_flight() == 0


async def test_a_refused_request_is_released_at_once() -> None:
    """No cyclic garbage holds a refused request or its picture: they would fill the memory until it is collected."""
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
    """Return the names of functions whose frames are cyclic garbage and hold a request or a picture."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        frames = [each for each in gc.garbage if isinstance(each, FrameType)]
        return [each.f_code.co_qualname for each in frames if _is_large(each)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


def _is_large(frame: FrameType) -> bool:
    return any(isinstance(value, pb.RecognizeImageRequest | Image | io.BytesIO) for value in frame.f_locals.values())
