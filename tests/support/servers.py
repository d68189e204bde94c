"""Scripted recognizers and gateways in front of them, on real servers, and helpers for their results."""

import argparse
import asyncio
import io
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

import grpc
import pytest
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image as Pillow

from marquee.v1 import recognizer_pb2 as pb
from marquee.v1 import recognizer_pb2_grpc
from services.gateway.config import BackendConfig, CacheConfig, GatewayConfig
from services.gateway.fusion import verdict as fusion
from services.gateway.servicer import Gateway
from services.gateway.settings import GatewaySettings
from services.runtime import status
from services.runtime.doors.caller import Caller, current
from services.runtime.doors.certificates import read_certificate, server_credentials
from services.runtime.doors.door import Door
from services.runtime.doors.watch import watch
from services.runtime.errors import DomainError, Misconfigured
from services.runtime.images.image import Image
from services.runtime.leaf.leaf import Leaf, serve
from services.runtime.leaf.recognizer import Options
from services.runtime.limits import MIB
from services.runtime.memory import give_back_freed_memory
from services.runtime.server.bulkhead import is_batch
from services.runtime.server.calls import CallInterceptor
from services.runtime.server.server import LIMITS, Service
from services.runtime.settings import LeafSettings, load_settings
from tests.support.processes import PATIENCE, free_port, metric, spawn, wait_until

Stub = recognizer_pb2_grpc.RecognizerServiceStub
_IMPATIENT = tuple((f"grpc.{which}_reconnect_backoff_ms", 50) for which in ("initial", "min", "max"))
_ESTABLISHED = "01"
NO_CACHE = CacheConfig(mib=0)
DEFAULT_FEATURES = (pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS)


class Scripted:
    """Returns `result` for every picture or raises `error`, after `seconds` and once `until` holds.

    Tells of itself what is `listed`. Records its calls.
    """

    def __init__(  # noqa: PLR0913 - a test may set each of them
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
        takes_boxes: bool = False,
    ) -> None:
        self.name = name
        self.features = features
        self.result = result or pb.RecognizerResult()
        self.seconds = seconds
        self.until = until
        self.error = error
        self.load_seconds = load_seconds
        self.load_error = load_error
        self.listed = pb.Recognizer(models=[pb.Model(name="scripted", version="1")], takes_face_boxes=takes_boxes)
        self.calls: list[Options] = []
        self.callers: list[Caller] = []
        self.are_batch: list[bool] = []
        self.cancelled = 0

    async def load(self) -> None:
        await asyncio.sleep(self.load_seconds)
        if self.load_error is not None:
            raise self.load_error

    async def recognize(self, image: Image, options: Options) -> pb.RecognizerResult:
        assert image.content
        self.calls.append(options)
        self.callers.append(current())
        self.are_batch.append(is_batch())
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
        listed = pb.Recognizer()
        listed.CopyFrom(self.listed)
        return listed

    async def close(self) -> None:
        pass


class LeafProcess:
    """`python -m tests.support.servers`, or another module, on free ports, its standard error in a file."""

    def __init__(
        self, folder: Path, *arguments: str | Path, module: str = "tests.support.servers", **environment: str
    ) -> None:
        own = {"MARQUEE_PORT": str(free_port()), "MARQUEE_METRICS_PORT": str(free_port())} | environment
        self.address = f"127.0.0.1:{own['MARQUEE_PORT']}"
        self.metrics_url = f"http://127.0.0.1:{own['MARQUEE_METRICS_PORT']}/metrics"
        self._log = folder / "stderr"
        self._life = ExitStack()
        with self._log.open("wb") as log:
            command = [sys.executable, "-m", module, *arguments]
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
            while await self.health() != health_pb2.HealthCheckResponse.SERVING:  # noqa: ASYNC110 - the status changes in another process
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Send SIGTERM to a running server; return once its readiness says that it accepts no more calls."""
        async with asyncio.timeout(PATIENCE), grpc.aio.insecure_channel(self.address, options=_IMPATIENT) as channel:
            watched = health_pb2.HealthCheckRequest(service="readiness")
            async for response in health_pb2_grpc.HealthStub(channel).Watch(watched):
                if response.status != health_pb2.HealthCheckResponse.SERVING:
                    return
                self.process.send_signal(signal.SIGTERM)

    async def begun(self, method: str = "RecognizeImage") -> None:
        """Wait until a call of the method has begun."""
        series = f'grpc_method="{method}"'
        await asyncio.to_thread(wait_until, lambda: metric(self.metrics_url, "grpc_server_started_total", series))

    def close(self) -> None:
        self._life.close()


@asynccontextmanager
async def served(
    service: Service, port: int = 0, most_bytes: int = 64 * MIB, wake: asyncio.Event | None = None, **settings: object
) -> AsyncIterator[str]:
    """Serve in this event loop, with the settings of who may call; yield the address.

    Given `wake`, follow the service's files, at once when it is set.
    """
    door = LeafSettings(**settings)
    interceptor = CallInterceptor(most_bytes, Door(door), service.bulkhead)
    server = grpc.aio.server(interceptors=[interceptor], options=(*LIMITS, ("grpc.so_reuseport", 0)))
    service.register(server)
    bound = _bind(server, f"127.0.0.1:{port}", door)
    await service.load()
    await server.start()
    watching = asyncio.create_task(watch(service.files, wake)) if wake else None
    try:
        yield f"127.0.0.1:{bound}"
    finally:
        if watching:
            watching.cancel()
        await interceptor.stop(server, 0)
        await service.close()


def _bind(server: grpc.aio.Server, address: str, door: LeafSettings) -> int:
    if door.tls_cert is None or door.tls_key is None:
        return server.add_insecure_port(address)
    certificate = read_certificate(door.tls_cert, door.tls_key, door.tls_client_ca)
    return server.add_secure_port(address, server_credentials(lambda: certificate))


@asynccontextmanager
async def leaf(recognizer: Scripted, port: int = 0, **settings: object) -> AsyncIterator[str]:
    """Serve the recognizer; yield the address."""
    async with served(Leaf(recognizer, LeafSettings(**settings)), port, **settings) as address:
        yield address


@asynccontextmanager
async def stub(address: str) -> AsyncIterator[Stub]:
    """Yield a client of the server."""
    async with grpc.aio.insecure_channel(address) as channel:
        yield Stub(channel)


async def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait for the condition; fail the test if it does not come true."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the condition depends on the other side of a channel
            await asyncio.sleep(0.01)


def connections(address: str) -> set[str]:
    """Return the clients' ends of a server's connections."""
    port = int(address.rpartition(":")[2])
    tables = [Path(f"/proc/net/{table}").read_text() for table in ("tcp", "tcp6")]  # gRPC's are of either
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return {row[2] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == _ESTABLISHED}


def picture(size: tuple[int, int] = (8, 6)) -> bytes:
    """Return a small JPEG."""
    buffer = io.BytesIO()
    Pillow.new("RGB", size, "teal").save(buffer, "JPEG")
    return buffer.getvalue()


def request(**fields: object) -> pb.RecognizeImageRequest:
    """Return a request with a small picture."""
    return pb.RecognizeImageRequest(image=pb.Image(content=picture()), **fields)


def main() -> None:
    """Serve a scripted recognizer as a process: `python -m tests.support.servers`."""
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
    give_back_freed_memory()
    serve(recognizer, load_settings(LeafSettings))


if __name__ == "__main__":
    main()


@asynccontextmanager
async def gateway(
    backends: Mapping[str, str | BackendConfig],
    name: str = "gateway",
    port: int = 0,
    cache: CacheConfig = NO_CACHE,
    **settings: object,
) -> AsyncIterator[str]:
    """Serve a gateway over the recognizers, given by target or configuration; yield the address.

    By default it asks each time: tests send the same picture again and again.
    """
    recognizers = {
        key: one if isinstance(one, BackendConfig) else BackendConfig(target=one) for key, one in backends.items()
    }
    config = GatewayConfig(recognizers=recognizers, cache=cache)
    async with served(Gateway(config, GatewaySettings(gateway_name=name)), port, **settings) as address:
        yield address


@asynccontextmanager
async def gateway_of(file: Path, wake: asyncio.Event) -> AsyncIterator[Stub]:
    """Yield a client of a gateway that follows its file, and what that names, at once when `wake` is set."""
    service = Gateway(file, GatewaySettings())
    async with served(service, wake=wake) as address, stub(address) as client:
        yield client


@asynccontextmanager
async def gateway_client(*recognizers: Scripted, **others: str | BackendConfig) -> AsyncIterator[Stub]:
    """Yield a client of a gateway over the recognizers, and over others by target."""
    async with AsyncExitStack() as stack:
        backends = {one.name: await stack.enter_async_context(leaf(one)) for one in recognizers}
        address = await stack.enter_async_context(gateway(backends | others))
        yield await stack.enter_async_context(stub(address))


def nobody() -> str:
    """Return a target on which nobody listens."""
    return f"127.0.0.1:{free_port()}"


async def refusal(client: Stub, message: pb.RecognizeImageRequest, timeout: float = 60) -> status_pb2.Status:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.RecognizeImage(message, timeout=timeout)
    return status.from_rpc_error(caught.value)


def code_and_reason(refused: status_pb2.Status) -> tuple[str, str]:
    return status.code_of(refused).name, status.reason_of(refused)


def outcomes(response: pb.RecognizeImageResponse) -> dict[str, str]:
    return {one.recognizer: pb.Outcome.Name(one.outcome).removeprefix("OUTCOME_") for one in response.results}


LEFT = (0.1, 0.2, 0.2, 0.3)
NEAR_LEFT = (0.12, 0.22, 0.2, 0.3)
RIGHT = (0.6, 0.2, 0.2, 0.3)
Place = tuple[float, float, float, float]


def box(place: Place) -> pb.BoundingBox:
    left, top, width, height = place
    return pb.BoundingBox(left=left, top=top, width=width, height=height)


def face(place: Place, name: str = "", score: float = 0.9) -> pb.Face:
    """Return a face; without a name, an unknown one."""
    return pb.Face(box=box(place), candidates=[candidate(name, score)] if name else [])


def candidate(name: str, score: float = 0.9) -> pb.Candidate:
    return pb.Candidate(person_id=f"id of {name}", display_name=name, score=score)


def result(recognizer: str, *faces: pb.Face, group: str = "", **fields: object) -> pb.RecognizerResult:
    """Return the result of a recognizer that looked for celebrities."""
    result = pb.RecognizerResult(
        recognizer=recognizer,
        outcome=pb.OUTCOME_OK,
        faces=faces,
        performed_features=[pb.FEATURE_CELEBRITIES],
        model=pb.Model(evidence_group=group),
    )
    result.MergeFrom(pb.RecognizerResult(**fields))
    return result


def summary(*results: pb.RecognizerResult) -> list[tuple[str, str]]:
    """Return the state and the name of each verdict."""
    return [
        (pb.VerdictState.Name(one.state).removeprefix("VERDICT_STATE_"), one.display_name)
        for one in fusion.verdicts(results)
    ]
