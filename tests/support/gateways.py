"""Gateways over real recognizers in the test's own event loop, and their responses."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import pytest
from google.rpc import status_pb2

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.config import BackendConfig, GatewayConfig
from services.gateway.servicer import Gateway
from services.gateway.settings import GatewaySettings
from services.runtime import status
from tests.support.leaves import Scripted, Stub, leaf, served, stub
from tests.support.processes import free_port


@asynccontextmanager
async def gateway(
    backends: Mapping[str, str | BackendConfig], name: str = "gateway", port: int = 0
) -> AsyncIterator[str]:
    """Serve a gateway over the recognizers, given by target or configuration; yield the address."""
    recognizers = {
        key: one if isinstance(one, BackendConfig) else BackendConfig(target=one) for key, one in backends.items()
    }
    config = GatewayConfig(recognizers=recognizers)
    async with served(Gateway(config, GatewaySettings(gateway_name=name)), port) as address:
        yield address


@asynccontextmanager
async def gateway_client(*recognizers: Scripted, **others: str | BackendConfig) -> AsyncIterator[Stub]:
    """Yield a client of a gateway over the recognizers, and over others by target."""
    async with AsyncExitStack() as stack:
        backends = {one.name: await stack.enter_async_context(leaf(one)) for one in recognizers}
        address = await stack.enter_async_context(gateway(backends | others))
        yield await stack.enter_async_context(stub(address))


def nobody() -> str:
    """Return a target where nobody listens."""
    return f"127.0.0.1:{free_port()}"


async def refusal(client: Stub, message: pb.RecognizeImageRequest, timeout: float = 60) -> status_pb2.Status:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.RecognizeImage(message, timeout=timeout)
    return status.from_rpc_error(caught.value)


def code_and_reason(refused: status_pb2.Status) -> tuple[str, str]:
    return status.code_of(refused).name, status.reason_of(refused)


def outcomes(response: pb.RecognizeImageResponse) -> dict[str, str]:
    return {one.recognizer: pb.Outcome.Name(one.outcome).removeprefix("OUTCOME_") for one in response.results}
