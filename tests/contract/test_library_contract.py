"""The library keeps to what every server keeps to: metrics, deadlines, doors and shutdown."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.v1 import recognizer_pb2
from services.runtime import status
from tests.support.doors import bearer, line
from tests.support.processes import PATIENCE, LocalSystem, metric, server, wait_until
from tests.support.servers import code_and_reason, picture

pytestmark = pytest.mark.slow

SERVICE = "marquee.library.v1.LibraryService"


@pytest.fixture
async def stub(system: LocalSystem) -> AsyncIterator[LibraryServiceStub]:
    async with grpc.aio.insecure_channel(system.address("library")) as channel:
        yield LibraryServiceStub(channel)


def addition(collection: str = "contract", **fields: object) -> pb.AddImageRequest:
    return pb.AddImageRequest(image=recognizer_pb2.Image(content=picture()), collection=collection, **fields)


async def refusal(call: grpc.aio.UnaryUnaryCall) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return code_and_reason(status.from_rpc_error(caught.value))


async def test_metrics_move(stub: LibraryServiceStub, system: LocalSystem) -> None:
    """A call is counted under its method and code."""
    series = f'grpc_code="NotFound",grpc_method="GetPicture",grpc_service="{SERVICE}"'
    url = system.metrics_url("library")
    before = await asyncio.to_thread(metric, url, "grpc_server_handled_total", series)
    assert await refusal(stub.GetPicture(pb.GetPictureRequest(picture_id="1"), timeout=60)) == (
        "NOT_FOUND",
        "PICTURE_NOT_FOUND",
    )
    assert await asyncio.to_thread(metric, url, "grpc_server_handled_total", series) == before + 1


async def test_a_cancelled_addition_harms_nothing(stub: LibraryServiceStub, system: LocalSystem) -> None:
    """Whoever stops waiting leaves the picture and the server as they are."""
    request = addition(wait=True)
    request.image.content = system.picture("hopper.jpg")
    for _ in range(3):
        call = stub.AddImage(request, timeout=60)
        await asyncio.sleep(0.05)
        call.cancel()
    response = await stub.AddImage(request, timeout=PATIENCE)
    assert response.picture.state == pb.PICTURE_STATE_RECOGNIZED


async def test_sigterm_lets_running_calls_end(system: LocalSystem) -> None:
    """After SIGTERM a replica answers whoever waits for a picture, and exits with 0."""
    with server("services.library", system.environment("library")) as alone:
        async with grpc.aio.insecure_channel(alone.address) as channel:
            request = addition("drain", wait=True)
            call = asyncio.ensure_future(LibraryServiceStub(channel).AddImage(request, timeout=PATIENCE))
            started = 'grpc_method="AddImage"'
            wait = wait_until, lambda: metric(alone.metrics_url, "grpc_server_started_total", started) == 1
            await asyncio.to_thread(*wait)
            alone.process.send_signal(signal.SIGTERM)
            response = await call
        assert response.picture.picture_id
        assert await asyncio.to_thread(alone.process.wait, PATIENCE) == 0


REFUSALS = {
    "no token": ((), ("UNAUTHENTICATED", "CREDENTIALS_MISSING")),
    "unknown": (bearer("unknown"), ("UNAUTHENTICATED", "TOKEN_UNKNOWN")),
    "a recognizer's scope": (bearer("recognizer"), ("PERMISSION_DENIED", "SCOPE_MISSING")),
    "another collection": (bearer("guest"), ("PERMISSION_DENIED", "COLLECTION_FORBIDDEN")),
    "forged caller": ((*bearer("writer"), ("marquee-caller", "boss")), ("PERMISSION_DENIED", "RELAY_FORBIDDEN")),
}


async def test_who_may_call(system: LocalSystem, tmp_path: Path) -> None:
    """Reading and writing are two scopes, and a caller sees only the collections of its line, by default none else."""
    scopes = {"recognizer": "recognize", "reader": "library-read", "writer": "library-read,library-write"}
    register = [line(name, name=name, scopes=scope) for name, scope in scopes.items()]
    register.append(line("guest", name="guest", scopes="library-read,library-write", collections="guests"))
    (tmp_path / "callers").write_text("".join(register))
    closed = system.environment("library") | {"MARQUEE_CALLERS": str(tmp_path / "callers")}
    with server("services.library", closed) as alone:
        async with grpc.aio.insecure_channel(alone.address) as channel:
            stub = LibraryServiceStub(channel)
            for metadata, expected in REFUSALS.values():
                assert await refusal(stub.AddImage(addition(), metadata=metadata, timeout=60)) == expected
            reading = {"metadata": bearer("reader"), "timeout": 60}
            denied = ("PERMISSION_DENIED", "SCOPE_MISSING")
            assert await refusal(stub.AddImage(addition(), **reading)) == denied
            added = await stub.AddImage(addition("doors"), metadata=bearer("writer"), timeout=60)
            wanted = pb.GetPictureRequest(picture_id=added.picture.picture_id, collection="doors")
            assert (await stub.GetPicture(wanted, **reading)).picture.collection == "doors"
