"""The page's server as a process, and scripted recognizers and a gateway behind it."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from services.runtime.doors.watch import Watched
from services.runtime.leaf.leaf import Leaf
from services.runtime.limits import MIB
from services.runtime.settings import LeafSettings
from services.web.app import build
from services.web.gateway import Gateway
from services.web.http.bodies import Bounds
from services.web.http.requests import Requests
from services.web.settings import WebSettings
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


@dataclass(frozen=True)
class Running:
    """The page's server as a process."""

    process: subprocess.Popen[bytes]
    url: str
    metrics_url: str
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        """Return the log."""
        return [json.loads(line) for line in self.log.read_text().rpartition("\n")[0].splitlines()]


@contextmanager
def started(
    gateway_address: str, log: Path, environment: Mapping[str, str] | None = None, **settings: str
) -> Iterator[Running]:
    """Start the page in front of the gateway. The log gets its standard error.

    Settings are environment variables without their prefix: `callers="/path"`.
    """
    own = {
        "MARQUEE_WEB_PORT": str(free_port()),
        "MARQUEE_METRICS_PORT": str(free_port()),
        "MARQUEE_WEB_GATEWAY": gateway_address,
    }
    asked = {f"MARQUEE_{name.upper()}": value for name, value in settings.items()}
    everything = os.environ | _IMPATIENT | own | asked | dict(environment or {})
    url = f"{'https' if 'tls_cert' in settings else 'http'}://127.0.0.1:{everything['MARQUEE_WEB_PORT']}"
    metrics_url = f"http://127.0.0.1:{everything['MARQUEE_METRICS_PORT']}/metrics"
    command = [sys.executable, "-m", "services.web"]
    with log.open("ab") as stream, spawn(command, env=everything, stderr=stream) as process:
        yield Running(process, url, metrics_url, log)


@asynccontextmanager
async def web(gateway_address: str, log: Path, **settings: str) -> AsyncIterator[str]:
    """Start the page as `started` does; yield its URL once it answers."""
    with started(gateway_address, log, **settings) as running:
        await answering(running)
        yield running.url


async def answering(running: Running) -> None:
    """Wait until the page answers."""
    async with asyncio.timeout(PATIENCE), httpx.AsyncClient(trust_env=False, verify=False) as client:  # noqa: S501 - ours
        while not await _answers(client, running.url):
            assert running.process.poll() is None, running.log.read_text()
            await asyncio.sleep(0.05)


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/livez")).is_success
    except httpx.TransportError:
        return False


@dataclass(frozen=True)
class Page:
    """The page's application, served in the test's own event loop."""

    url: str
    files: Callable[[], Sequence[Watched[Any]]]

    async def refresh(self) -> None:
        """Read again what has changed, as the server does every 2 s."""
        for file in self.files():
            await file.refresh()

    def client(self, **options: Any) -> httpx.AsyncClient:
        """Return a browser of its own, which follows no redirects."""
        return httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=PATIENCE, **options)


@asynccontextmanager
async def page(gateway_address: str, **settings: object) -> AsyncIterator[Page]:
    """Serve the page in front of the gateway, with these settings of WebSettings."""
    port = free_port()
    own = WebSettings(**{"web_gateway": gateway_address, "web_port": port} | settings)
    calls = Gateway(own)
    app = build(own, calls)
    around = Requests(app, Bounds(own.max_in_flight_mib * MIB))
    options = {"log_config": None, "lifespan": "off", "server_header": False}
    server = uvicorn.Server(uvicorn.Config(around, port=port, proxy_headers=False, **options))
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(PATIENCE):
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
    try:
        yield Page(f"http://127.0.0.1:{port}", app.state.files)
    finally:
        server.should_exit = True
        await serving
        await calls.close()


def csrf_token(page: httpx.Response) -> str:
    """Return what the forms of a page send back."""
    match = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert match, page.text
    return match[1]


async def sign_in(client: httpx.AsyncClient, token: str, **fields: str) -> httpx.Response:
    """Sign in as a person does, with the page's form; return what comes of it."""
    form = {"csrf_token": csrf_token(await client.get("/sign-in")), "token": token}
    return await client.post("/sign-in", data=form | fields)
