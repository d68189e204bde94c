"""Recognizers that do what a test tells them, served for real: in the test's own event loop or as a process."""

import argparse
import asyncio
import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import grpc
from PIL import Image as Pillow

from marquee.v1 import recognizer_pb2 as pb
from marquee.v1 import recognizer_pb2_grpc
from services.gateway.config import BackendConfig, GatewayConfig
from services.gateway.servicer import Gateway
from services.gateway.settings import GatewaySettings
from services.runtime.errors import DomainError, Misconfigured
from services.runtime.images import Image
from services.runtime.interceptors import CallInterceptor
from services.runtime.leaf import Leaf, serve
from services.runtime.recognizer import Options
from services.runtime.server import Service
from services.runtime.settings import LeafSettings, load_settings

Stub = recognizer_pb2_grpc.RecognizerServiceStub
DEFAULT_FEATURES = (pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS)


class Scripted:
    """Answers every picture with `result`, after `seconds`, or raises `error`; remembers what it was asked."""

    def __init__(  # noqa: PLR0913 - each is one thing that a test may want
        self,
        name: str = "leaf",
        *,
        result: pb.RecognizerResult | None = None,
        seconds: float = 0,
        error: Exception | None = None,
        load_seconds: float = 0,
        load_error: DomainError | None = None,
        features: tuple[pb.Feature.ValueType, ...] = DEFAULT_FEATURES,
    ) -> None:
        self.name = name
        self.features = features
        self.result = result or pb.RecognizerResult()
        self.seconds = seconds
        self.error = error
        self.load_seconds = load_seconds
        self.load_error = load_error
        self.asked: list[Options] = []
        self.cancelled = 0

    async def load(self) -> None:
        await asyncio.sleep(self.load_seconds)
        if self.load_error is not None:
            raise self.load_error

    async def recognize(self, image: Image, options: Options) -> pb.RecognizerResult:
        assert image.content
        self.asked.append(options)
        try:
            await asyncio.sleep(self.seconds)
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


@asynccontextmanager
async def served(service: Service, port: int = 0) -> AsyncIterator[str]:
    """Serves in this event loop; yields the address."""
    server = grpc.aio.server(interceptors=[CallInterceptor()], options=(("grpc.so_reuseport", 0),))
    recognizer_pb2_grpc.add_RecognizerServiceServicer_to_server(service, server)
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
    """Serves the recognizer; yields the address."""
    async with served(Leaf(recognizer, LeafSettings(**settings)), port) as address:
        yield address


@asynccontextmanager
async def gateway(backends: Mapping[str, str | BackendConfig], name: str = "gateway") -> AsyncIterator[str]:
    """Serves a gateway over the recognizers, given by target or configuration; yields the address."""
    recognizers = {
        key: one if isinstance(one, BackendConfig) else BackendConfig(target=one) for key, one in backends.items()
    }
    config = GatewayConfig(recognizers=recognizers)
    async with served(Gateway(config, GatewaySettings(gateway_name=name))) as address:
        yield address


@asynccontextmanager
async def stub(address: str) -> AsyncIterator[Stub]:
    """A client of the server."""
    async with grpc.aio.insecure_channel(address) as channel:
        yield Stub(channel)


def picture(size: tuple[int, int] = (8, 6)) -> bytes:
    """A small JPEG."""
    buffer = io.BytesIO()
    Pillow.new("RGB", size, "teal").save(buffer, "JPEG")
    return buffer.getvalue()


def request(**fields: object) -> pb.RecognizeImageRequest:
    """A call about a small picture."""
    return pb.RecognizeImageRequest(image=pb.Image(content=picture()), **fields)


def main() -> None:
    """Serves one as a process: `python -m tests.unit.leaves`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--load-seconds", type=float, default=0)
    parser.add_argument("--load-error")
    asked = parser.parse_args()
    error = Misconfigured(asked.load_error) if asked.load_error else None
    recognizer = Scripted(seconds=asked.seconds, load_seconds=asked.load_seconds, load_error=error)
    serve(recognizer, load_settings(LeafSettings))


if __name__ == "__main__":
    main()
