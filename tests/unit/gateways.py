"""Gateways over real recognizers, in the test's own event loop."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from services.gateway.config import BackendConfig, GatewayConfig
from services.gateway.servicer import Gateway
from services.gateway.settings import GatewaySettings
from tests.unit.leaves import served


@asynccontextmanager
async def gateway(
    backends: Mapping[str, str | BackendConfig], name: str = "gateway", port: int = 0
) -> AsyncIterator[str]:
    """Serves a gateway over the recognizers, given by target or configuration; yields the address."""
    recognizers = {
        key: one if isinstance(one, BackendConfig) else BackendConfig(target=one) for key, one in backends.items()
    }
    config = GatewayConfig(recognizers=recognizers)
    async with served(Gateway(config, GatewaySettings(gateway_name=name)), port) as address:
        yield address
