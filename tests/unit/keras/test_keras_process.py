"""Tests of `python -m services.keras` next to a TensorFlow Serving that stops and starts."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from marquee.v1 import recognizer_pb2 as pb
from marquee.v1 import recognizer_pb2_grpc
from services.runtime import status
from tests.support.processes import PATIENCE, free_port, spawn
from tests.support.servers import request
from tests.support.tf_serving_models import serving, write_brightness_model

pytestmark = pytest.mark.slow

_SERVING = health_pb2.HealthCheckResponse.SERVING


class Adapter:
    """The adapter as a process, with a client."""

    def __init__(self, process: subprocess.Popen[bytes], channel: grpc.aio.Channel, port: int) -> None:
        self.process = process
        self.health = health_pb2_grpc.HealthStub(channel)
        self.stub = recognizer_pb2_grpc.RecognizerServiceStub(channel)
        self.served_port = port

    async def state(self, service: str = "readiness") -> int:
        check = health_pb2.HealthCheckRequest(service=service)
        return int((await self.health.Check(check, wait_for_ready=True, timeout=PATIENCE)).status)

    async def until(self, *, ready: bool) -> None:
        async with asyncio.timeout(PATIENCE):
            while (await self.state() == _SERVING) is not ready:  # noqa: ASYNC110 - another process changes it
                await asyncio.sleep(0.05)

    async def refusal(self) -> Any:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.stub.RecognizeImage(request(), timeout=60)
        return status.from_rpc_error(caught.value)

    async def listing(self) -> pb.Recognizer:
        return (await self.stub.ListRecognizers(pb.ListRecognizersRequest())).recognizers[0]


@pytest.fixture(name="adapter")
async def _adapter(tmp_path: Path) -> AsyncIterator[Adapter]:
    port, served = free_port(), free_port()
    own = {
        "MARQUEE_PORT": port,
        "MARQUEE_METRICS_PORT": free_port(),
        "MARQUEE_KERAS_TARGET": f"127.0.0.1:{served}",
        "MARQUEE_KERAS_ASSETS": write_brightness_model(tmp_path / "model"),
        "MARQUEE_KERAS_POLL_SECONDS": 0.2,
    }
    environment = os.environ | {name: str(value) for name, value in own.items()}
    command = [sys.executable, "-m", "services.keras"]
    with spawn(command, env=environment, stderr=subprocess.DEVNULL) as process:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Adapter(process, channel, served)
        process.terminate()
        assert await asyncio.to_thread(process.wait, PATIENCE) == 0


async def test_model_that_is_not_loaded_yet(adapter: Adapter, tmp_path: Path) -> None:
    """Until the model is served, the adapter is alive but not ready and refuses calls; then it recovers by itself."""
    assert await adapter.state("liveness") == _SERVING
    assert await adapter.state() != _SERVING
    refusal = await adapter.refusal()
    assert (status.code_of(refusal), status.reason_of(refusal)) == (grpc.StatusCode.UNAVAILABLE, "MODEL_NOT_READY")
    assert (await adapter.listing()).state == pb.RECOGNIZER_STATE_LOADING
    async with serving(tmp_path / "model", port=adapter.served_port):
        await adapter.until(ready=True)
        answer = await adapter.stub.RecognizeImage(request(), timeout=60)
        assert answer.results[0].outcome == pb.OUTCOME_OK
        listing = await adapter.listing()
        assert (listing.state, list(listing.features)) == (pb.RECOGNIZER_STATE_READY, [pb.FEATURE_LABELS])


async def test_server_that_stops_and_starts(adapter: Adapter, tmp_path: Path) -> None:
    """Without its server, the adapter becomes not ready even without calls and says why; then it recovers by itself."""
    async with serving(tmp_path / "model", port=adapter.served_port):
        await adapter.until(ready=True)
    await adapter.until(ready=False)
    assert await adapter.state("liveness") == _SERVING
    refusal = await adapter.refusal()
    assert (status.code_of(refusal), status.reason_of(refusal)) == (grpc.StatusCode.UNAVAILABLE, "MODEL_NOT_READY")
    listing = await adapter.listing()
    assert listing.state == pb.RECOGNIZER_STATE_UNAVAILABLE
    assert "does not answer" in listing.status.message
    async with serving(tmp_path / "model", port=adapter.served_port):
        await adapter.until(ready=True)
        assert (await adapter.stub.RecognizeImage(request(), timeout=60)).results[0].labels


async def test_tensorflow_is_not_loaded(adapter: Adapter, tmp_path: Path) -> None:
    """The process loads TensorFlow Serving's messages but none of TensorFlow's libraries."""
    async with serving(tmp_path / "model", port=adapter.served_port):
        await adapter.until(ready=True)
        await adapter.stub.RecognizeImage(request(), timeout=60)
        maps = await asyncio.to_thread(Path(f"/proc/{adapter.process.pid}/maps").read_text)
    assert "grpc" in maps
    assert "libtensorflow" not in maps
    assert "cv2" not in maps
