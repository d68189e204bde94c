"""How every server shuts down, and what does not shut it down."""

import asyncio
import io
import signal
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image

from marquee.v1 import recognizer_pb2 as pb
from marquee.v1 import recognizer_pb2_grpc
from services.names import SERVERS
from tests.support.processes import PATIENCE, LocalSystem, metric, server, wait_until, with_early_hangup

pytestmark = pytest.mark.slow


def started_calls(metrics_url: str) -> float:
    return metric(metrics_url, "grpc_server_started_total", 'grpc_method="RecognizeImage"')


def request() -> pb.RecognizeImageRequest:
    """Return a request with a picture that keeps every server busy for a while: 12 megapixels."""
    pixels = np.random.default_rng(1).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((4000, 3000), Image.Resampling.BILINEAR).save(buffer, "JPEG", quality=70)
    return pb.RecognizeImageRequest(image=pb.Image(content=buffer.getvalue()))


@pytest.mark.parametrize("name", SERVERS)
async def test_sigterm_lets_running_calls_end(system: LocalSystem, name: str) -> None:
    """After SIGTERM, the server answers its running call and exits with 0."""
    with server(f"services.{name}", system.environment(name)) as alone:
        async with grpc.aio.insecure_channel(alone.address) as channel:
            stub = recognizer_pb2_grpc.RecognizerServiceStub(channel)
            call = asyncio.ensure_future(stub.RecognizeImage(request(), timeout=PATIENCE))
            await asyncio.to_thread(wait_until, lambda: started_calls(alone.metrics_url) == 1)
            alone.process.send_signal(signal.SIGTERM)
            response = await call
        assert {result.outcome for result in response.results} == {pb.OUTCOME_OK}
        assert await asyncio.to_thread(alone.process.wait, PATIENCE) == 0


@pytest.mark.parametrize("name", [*SERVERS, "library"])
def test_sighup_before_it_serves_ends_no_server(system: LocalSystem, tmp_path: Path, name: str) -> None:
    """SIGHUP, which means to read files again, may come while a server still imports its modules."""
    with server(f"services.{name}", system.environment(name) | with_early_hangup(tmp_path)) as alone:
        assert alone.process.poll() is None
