"""Scripted recognizers, served for real: in the test's own event loop or as a process."""

import argparse
import asyncio
import io
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image as Pillow

from marquee.v1 import recognizer_pb2 as pb
from marquee.v1 import recognizer_pb2_grpc
from services.runtime.errors import DomainError, Misconfigured
from services.runtime.images.image import Image
from services.runtime.leaf.leaf import Leaf, serve
from services.runtime.leaf.recognizer import Options
from services.runtime.limits import MIB
from services.runtime.server.calls import CallInterceptor
from services.runtime.server.server import Service
from services.runtime.settings import LeafSettings, load_settings
from tests.support.processes import PATIENCE, free_port, metric, spawn, wait_until

Stub = recognizer_pb2_grpc.RecognizerServiceStub
_IMPATIENT = tuple((f"grpc.{which}_reconnect_backoff_ms", 50) for which in ("initial", "min", "max"))
DEFAULT_FEATURES = (pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS)


class Scripted:
    """Returns `result` for every picture or raises `error`, after `seconds` and once `until` holds.

    Records its calls.
    """

    def __init__(  # noqa: PLR0913 - each is something that a test may set
        self,
        name: str = "leaf",
        *,
        result: pb.RecognizerResult | None = None,
        seconds: float = 0,
        until: Callable[[], object] = lambda: True,
        error: Exception | None = None,
        load_seconds: float = 0,
        load_error: DomainError | None = None,
        features: tuple[pb.Feature.ValueType, ...] = DEFAULT_FEATURES,
    ) -> None:
        self.name = name
        self.features = features
        self.result = result or pb.RecognizerResult()
        self.seconds = seconds
        self.until = until
        self.error = error
        self.load_seconds = load_seconds
        self.load_error = load_error
        self.calls: list[Options] = []
        self.cancelled = 0

    async def load(self) -> None:
        await asyncio.sleep(self.load_seconds)
        if self.load_error is not None:
            raise self.load_error

    async def recognize(self, image: Image, options: Options) -> pb.RecognizerResult:
        assert image.content
        self.calls.append(options)
        try:
            await asyncio.sleep(self.seconds)
            while not self.until():  # noqa: ASYNC110 - a test decides, perhaps in another process
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        result = pb.RecognizerResult()
        result.CopyFrom(self.result)
        return result

    def describe(self) -> pb.Recognizer:
        return pb.Recognizer(models=[pb.Model(name="scripted", version="1")])

    async def close(self) -> None:
        pass


class LeafProcess:
    """`python -m tests.support.leaves` on free ports, its standard error in a file."""

    def __init__(self, folder: Path, *arguments: str | Path, **environment: str) -> None:
        own = {"MARQUEE_PORT": str(free_port()), "MARQUEE_METRICS_PORT": str(free_port())} | environment
        self.address = f"127.0.0.1:{own['MARQUEE_PORT']}"
        self.metrics_url = f"http://127.0.0.1:{own['MARQUEE_METRICS_PORT']}/metrics"
        self._log = folder / "stderr"
        self._life = ExitStack()
        with self._log.open("wb") as log:
            command = [sys.executable, "-m", "tests.support.leaves", *arguments]
            self.process = self._life.enter_context(spawn(command, env=os.environ | own, stderr=log))

    def log(self) -> list[dict[str, object]]:
        """Return the lines of standard error, which are JSON except for those of gRPC's core."""
        lines = self._log.read_text().rpartition("\n")[0].splitlines()
        return [json.loads(line) for line in lines if not re.match(r"[EWI]\d{4} ", line)]

    def events(self, event: str) -> list[dict[str, object]]:
        return [line for line in self.log() if line["event"] == event]

    async def ended(self) -> int:
        return await asyncio.to_thread(self.process.wait, PATIENCE)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Stub]:
        """Yield a client once the server listens."""
        async with grpc.aio.insecure_channel(self.address, options=_IMPATIENT) as channel:
            async with asyncio.timeout(PATIENCE):
                await channel.channel_ready()
            yield Stub(channel)

    async def health(self, name: str = "readiness") -> int:
        async with grpc.aio.insecure_channel(self.address, options=_IMPATIENT) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            message = health_pb2.HealthCheckRequest(service=name)
            return int((await stub.Check(message, timeout=PATIENCE, wait_for_ready=True)).status)

    async def serving(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self.health() != health_pb2.HealthCheckResponse.SERVING:  # noqa: ASYNC110 - it is another process that changes
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Send SIGTERM to a server that serves; return when it says that it takes no more calls."""
        async with asyncio.timeout(PATIENCE), grpc.aio.insecure_channel(self.address, options=_IMPATIENT) as channel:
            watched = health_pb2.HealthCheckRequest(service="readiness")
            async for response in health_pb2_grpc.HealthStub(channel).Watch(watched):
                if response.status != health_pb2.HealthCheckResponse.SERVING:
                    return
                self.process.send_signal(signal.SIGTERM)

    async def begun(self) -> None:
        """Wait until a RecognizeImage call has begun."""
        series = 'grpc_method="RecognizeImage"'
        await asyncio.to_thread(wait_until, lambda: metric(self.metrics_url, "grpc_server_started_total", series))

    def close(self) -> None:
        self._life.close()


@asynccontextmanager
async def served(service: Service, port: int = 0, most_bytes: int = 64 * MIB) -> AsyncIterator[str]:
    """Serve in this event loop; yield the address."""
    interceptor = CallInterceptor(most_bytes)
    server = grpc.aio.server(interceptors=[interceptor], options=(("grpc.so_reuseport", 0),))
    service.register(server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await service.load()
    await server.start()
    try:
        yield f"127.0.0.1:{bound}"
    finally:
        await server.stop(0)
        await service.close()


@asynccontextmanager
async def leaf(recognizer: Scripted, port: int = 0, **settings: object) -> AsyncIterator[str]:
    """Serve the recognizer; yield the address."""
    async with served(Leaf(recognizer, LeafSettings(**settings)), port) as address:
        yield address


@asynccontextmanager
async def stub(address: str) -> AsyncIterator[Stub]:
    """Yield a client of the server."""
    async with grpc.aio.insecure_channel(address) as channel:
        yield Stub(channel)


async def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait for the condition; fail the test if it does not come true."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for is on the other side of a channel
            await asyncio.sleep(0.01)


def picture(size: tuple[int, int] = (8, 6)) -> bytes:
    """Return a small JPEG."""
    buffer = io.BytesIO()
    Pillow.new("RGB", size, "teal").save(buffer, "JPEG")
    return buffer.getvalue()


def request(**fields: object) -> pb.RecognizeImageRequest:
    """Return a request with a small picture."""
    return pb.RecognizeImageRequest(image=pb.Image(content=picture()), **fields)


def main() -> None:
    """Serve one as a process: `python -m tests.support.leaves`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--until", type=Path)
    parser.add_argument("--error")
    parser.add_argument("--load-seconds", type=float, default=0)
    parser.add_argument("--load-error")
    args = parser.parse_args()
    recognizer = Scripted(
        seconds=args.seconds,
        until=args.until.exists if args.until else lambda: True,
        error=KeyError(args.error) if args.error else None,
        load_seconds=args.load_seconds,
        load_error=Misconfigured(args.load_error) if args.load_error else None,
    )
    serve(recognizer, load_settings(LeafSettings))


if __name__ == "__main__":
    main()
