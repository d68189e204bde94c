"""Gateways with policies: recognizers with prices, and a gateway that knows them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.config import BackendConfig, GatewayConfig
from services.gateway.servicer import Gateway
from services.gateway.settings import GatewaySettings
from services.runtime.server.calls import POLL_METADATA
from tests.support.servers import LEFT, Scripted, Stub, face, leaf, request, served, stub

PRICE = 1000
CELEBRITIES = [pb.FEATURE_CELEBRITIES]


def knowing(name: str, score: float = 0.95, *, price: int = 0, **fields: object) -> Scripted:
    """Return a recognizer that sees Ada with that score, for a price of each picture in millionths of a dollar."""
    result = pb.RecognizerResult(faces=[face(LEFT, "Ada", score)], cost_micro_usd=price)
    return priced(Scripted(name, result=result, features=tuple(CELEBRITIES), **fields), price)


def priced(recognizer: Scripted, price: int = PRICE) -> Scripted:
    """Return the recognizer, which lists that price for CELEBRITIES."""
    if price:
        recognizer.listed.prices.append(pb.Price(feature=pb.FEATURE_CELEBRITIES, micro_usd=price))
    return recognizer


@asynccontextmanager
async def policy_gateway(*recognizers: Scripted, inner: str = "", **config: object) -> AsyncIterator[str]:
    """Serve a gateway over the recognizers, and `inner` as region, that has heard of their prices; yield the address.

    The configuration is that of the gateway's file.
    """
    async with AsyncExitStack() as stack:
        backends = {
            one.name: BackendConfig(target=await stack.enter_async_context(leaf(one)), priced=bool(one.listed.prices))
            for one in recognizers
        }
        backends |= {"region": BackendConfig(target=inner)} if inner else {}
        service = Gateway(GatewayConfig(recognizers=backends, **config), GatewaySettings())
        address = await stack.enter_async_context(served(service))
        await _told(await stack.enter_async_context(stub(address)))
        yield address


@asynccontextmanager
async def policy_client(*recognizers: Scripted, inner: str = "", **config: object) -> AsyncIterator[Stub]:
    """Yield a client of such a gateway."""
    async with policy_gateway(*recognizers, inner=inner, **config) as address, stub(address) as client:
        yield client


def asking(policy: str, **fields: object) -> pb.RecognizeImageRequest:
    """Return a request for CELEBRITIES with the policy of that short name."""
    return request(policy=f"POLICY_{policy}", **{"features": CELEBRITIES} | fields)


async def _told(client: Stub) -> None:
    """Wait until the gateway has heard of all its recognizers."""
    known: list[pb.Recognizer] = []
    while not known or any(one.state == pb.RECOGNIZER_STATE_UNAVAILABLE for one in known):
        listed = await client.ListRecognizers(pb.ListRecognizersRequest(), metadata=POLL_METADATA, wait_for_ready=True)
        known = list(listed.recognizers)
        await asyncio.sleep(0.01)
