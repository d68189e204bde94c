"""The page's server as a process, and scripted recognizers and a gateway behind it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx

from services.runtime.leaf.leaf import Leaf
from services.runtime.settings import LeafSettings
from tests.support.enrollers import ScriptedEnroller
from tests.support.processes import PATIENCE, free_port, spawn
from tests.support.servers import Scripted, gateway, served

_IMPATIENT = {"MARQUEE_DRAIN_DELAY_SECONDS": "0"}


@asynccontextmanager
async def recognizing(
    *recognizers: Scripted, enrollers: Mapping[str, ScriptedEnroller] | None = None, **settings: object
) -> AsyncIterator[str]:
    """Serve the recognizers, those named with enrollers beside them, and a gateway; yield the gateway's address."""
    beside = enrollers or {}
    async with AsyncExitStack() as stack:
        targets = {}
        for one in recognizers:
            leaf = Leaf(one, LeafSettings(), beside.get(one.name))
            targets[one.name] = await stack.enter_async_context(served(leaf))
        yield await stack.enter_async_context(gateway(targets, **settings))


@asynccontextmanager
async def web(gateway_address: str, log: Path, **settings: str) -> AsyncIterator[str]:
    """Start the page in front of the gateway; yield its URL. The log gets its standard error.

    Settings are environment variables without their prefix: `callers="/path"`.
    """
    own = {
        "MARQUEE_WEB_PORT": str(free_port()),
        "MARQUEE_METRICS_PORT": str(free_port()),
        "MARQUEE_WEB_GATEWAY": gateway_address,
    }
    asked = {f"MARQUEE_{name.upper()}": value for name, value in settings.items()}
    environment = os.environ | _IMPATIENT | own | asked
    url = f"http://127.0.0.1:{environment['MARQUEE_WEB_PORT']}"
    command = [sys.executable, "-m", "services.web"]
    with log.open("ab") as stream, spawn(command, env=environment, stderr=stream) as process:
        async with asyncio.timeout(PATIENCE), httpx.AsyncClient(trust_env=False) as client:
            while not await _answers(client, url):
                assert process.poll() is None, f"see {log}"
                await asyncio.sleep(0.05)
        yield url


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/livez")).is_success
    except httpx.TransportError:
        return False
