"""Measure the page: its start, first view, memory of uploads, time to the first card, and 200 visitors at once.

usage: PYTHONPATH=. python bench/web.py [PART …] [--visitors 200] [--uploading 8] [--seconds 20]

PARTs are start, view, memory, cards and visitors; without any all are measured.

Starts the page, a gateway and three scripted recognizers on loopback, each part in a process of its own but the
recognizers, which share the gateway's. Prints Markdown rows. VISITORS load the page with its files, which browsers
keep, and then the page again every 3 s; UPLOADING of them recognize pictures of 300 KB without a pause.
"""

import argparse
import asyncio
import base64
import gzip
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.gateway.config import BackendConfig, GatewayConfig
from services.gateway.servicer import Gateway
from services.gateway.settings import GatewaySettings
from services.runtime.leaf.leaf import Leaf
from services.runtime.settings import LeafSettings
from tests.support.processes import free_port, memory_mib, spawn, wait_until
from tests.support.servers import Scripted, picture, served

PARTS = ("start", "view", "memory", "cards", "visitors")
LATENCIES = (0.0, 0.05, 0.2)
LARGE, SMALL = 15 * 1024 * 1024, 300_000
UPLOADS = 4
PAUSE = 3.0
BUSY = 4
"""Calls that the slowest recognizer takes at once: others are shed."""
ROOMY = 1 << 30
"""Memory of gateway and recognizers for requests: here the page's is measured."""
SERVE = "--serve"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=" ".join(PARTS))
    parser.add_argument("--visitors", type=int, default=200)
    parser.add_argument("--uploading", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument(SERVE, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        asyncio.run(serve(Path(args.serve)))
        return
    measurements = {
        "start": start,
        "view": lambda page: asyncio.run(view(page)),
        "memory": lambda page: asyncio.run(memory(page)),
        "cards": lambda page: asyncio.run(cards(page)),
        "visitors": lambda page: asyncio.run(visitors(page, args)),
    }
    for part in args.parts or PARTS:
        with running() as page:
            print(f"\n| {part} | |\n|---|---|")
            measurements[part](page)


@dataclass(frozen=True)
class Page:
    """A running page."""

    port: int
    pid: int
    seconds: float
    """From the start of its process to its first answer."""


async def serve(ready: Path) -> None:
    """Serve a gateway over three recognizers; write its address into the file."""
    backends: dict[str, BackendConfig] = {}
    async with AsyncExitStack() as stack:
        for seconds in LATENCIES:
            one = Scripted(f"takes-{seconds * 1000:.0f}-ms", seconds=seconds)
            leaf = Leaf(one, LeafSettings())
            target = await stack.enter_async_context(served(leaf, most_bytes=ROOMY))
            backends[one.name] = BackendConfig(target=target, max_in_flight=BUSY if seconds == max(LATENCIES) else 64)
        service = Gateway(GatewayConfig(recognizers=backends), GatewaySettings())
        address = await stack.enter_async_context(served(service, most_bytes=ROOMY))
        ready.write_text(address)  # noqa: ASYNC240 - once
        await asyncio.Event().wait()


@contextmanager
def running() -> Iterator[Page]:
    """Start all of it; yield the page once it answers."""
    with tempfile.TemporaryDirectory() as folder:
        ready, port = Path(folder) / "address", free_port()
        behind = [sys.executable, __file__, SERVE, str(ready)]
        with spawn(behind, env=os.environ | {"PYTHONPATH": "."}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            wait_until(lambda: ready.exists() and ready.read_text())
            own = {
                "MARQUEE_WEB_PORT": str(port),
                "MARQUEE_METRICS_PORT": str(free_port()),
                "MARQUEE_WEB_GATEWAY": ready.read_text(),
                "MARQUEE_WEB_PICTURES_PER_MINUTE": "1000000",
            }
            begin = time.perf_counter()
            command = [sys.executable, "-m", "services.web"]
            with spawn(command, env=os.environ | own, stderr=subprocess.DEVNULL) as process:
                while asyncio.run(is_away(port)):
                    if process.poll() is not None:
                        sys.exit("The page has ended.")
                yield Page(port, process.pid, time.perf_counter() - begin)


async def is_away(port: int) -> bool:
    """Return whether nobody answers at the port."""
    try:
        async with asyncio.timeout(10):
            browser = Browser(port)
            return (await browser.get("/livez")).status != 200  # noqa: PLR2004 - HTTP's
    except OSError:
        return True


@dataclass
class Answer:
    """An answer to a request."""

    status: int
    headers: dict[str, str]
    body: bytes
    first: float = 0.0
    """When the second event of a stream came, the first with a card, on time.perf_counter()'s clock."""


@dataclass
class Browser:
    """A visitor with one connection, as little work as can be."""

    port: int
    cookie: str = ""
    token: str = ""
    _streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)

    async def get(self, path: str) -> Answer:
        """Return what is there."""
        return await self.ask("GET", path, b"", {"Accept-Encoding": "gzip"})

    async def view(self) -> list[Answer]:
        """Load the page and its files."""
        page = await self.get("/")
        self.cookie = self.cookie or page.headers.get("set-cookie", "").partition(";")[0]
        found = re.search(rb'name="csrf_token" value="([^"]*)"', page.body)
        self.token = found.group(1).decode() if found else ""
        paths = sorted({match.decode() for match in re.findall(rb'"(/static/[^"]+\.[^"]+)"', page.body)})
        paths = [path for path in paths if re.search(r"\.[0-9a-f]{12}\.", path)]
        return [page, *[await self.get(path) for path in paths]]

    async def recognize(self, content: bytes) -> Answer:
        """Recognize a picture as the page's script does."""
        return await self.ask("POST", "/recognize", *form(content, self.token), accept="text/event-stream")

    async def ask(self, method: str, path: str, body: bytes, headers: dict[str, str], accept: str = "*/*") -> Answer:
        """Send a request over the kept connection, and return the answer."""
        reader, writer = self._streams.pop() if self._streams else await asyncio.open_connection("127.0.0.1", self.port)
        own = {"Host": f"127.0.0.1:{self.port}", "Accept": accept, "Cookie": self.cookie, "Content-Length": len(body)}
        lines = "".join(f"{name}: {value}\r\n" for name, value in (own | headers).items() if value != "")
        writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode())
        if body:
            writer.write(body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        found = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        answer = Answer(int(head[0].split()[1]), found, b"")
        if "content-length" in found:
            answer.body = await reader.readexactly(int(found["content-length"]))
        else:
            await self._events(reader, answer)
        if found.get("connection") == "close":
            writer.close()
        else:
            self._streams.append((reader, writer))
        return answer

    async def _events(self, reader: asyncio.StreamReader, answer: Answer) -> None:
        pieces = []
        while size := int(await reader.readline(), 16):
            pieces.append(await reader.readexactly(size))
            await reader.readline()
            if len(pieces) == 2:  # noqa: PLR2004 - after the one in which all wait
                answer.first = time.perf_counter()
        await reader.readline()
        answer.body = b"".join(pieces)


def form(content: bytes, token: str) -> tuple[bytes, dict[str, str]]:
    """Return a form with the picture, to which nothing is remembered, and its headers."""
    option = b'--x\r\nContent-Disposition: form-data; name="no_cache"\r\n\r\ntrue\r\n'
    part = 'Content-Disposition: form-data; name="image"; filename="x.jpg"\r\nContent-Type: image/jpeg'
    body = option + f"--x\r\n{part}\r\n\r\n".encode() + content + b"\r\n--x--\r\n"
    return body, {"Content-Type": "multipart/form-data; boundary=x", "X-CSRF-Token": token}


def jpeg(size: int) -> bytes:
    """Return a small picture with `size` bytes after its end."""
    small = picture((640, 480))
    return small + os.urandom(size - len(small))


def row(name: str, value: str) -> None:
    """Print a row."""
    print(f"| {name} | {value} |", flush=True)


def start(page: Page) -> None:
    """Time and memory of an idle page."""
    row("from the start of the process to the first answer", f"{page.seconds:.2f} s")
    row("resident memory, idle", f"{memory_mib(page.pid):.0f} MiB")


async def view(page: Page) -> None:
    """Bytes and requests of the first view, as compressed as the server sends them."""
    files = await Browser(page.port).view()
    row("requests", f"{len(files)}, answered with {', '.join({str(one.status) for one in files})}")
    row("bytes of bodies", f"{sum(len(one.body) for one in files) / 1000:.1f} KB")
    plain = sum(len(gzip.decompress(one.body) if "content-encoding" in one.headers else one.body) for one in files)
    row("the same, not compressed", f"{plain / 1000:.1f} KB")


async def memory(page: Page) -> None:
    """Peak of resident memory over the idle server while four pictures of 15 MB are recognized at once."""
    browser = Browser(page.port)
    await browser.view()
    await browser.recognize(jpeg(SMALL))
    content = jpeg(LARGE)
    request = json.dumps({"image": {"content": base64.b64encode(content).decode()}}).encode()
    connect = "/marquee.v1.RecognizerService/RecognizeImage"
    ways = {
        "/recognize, with events": ("/recognize", *form(content, browser.token), "text/event-stream"),
        "/recognize, without JavaScript": ("/recognize", *form(content, browser.token), "text/html"),
        "/v1/recognize, form": ("/v1/recognize", *form(content, ""), "*/*"),
        "/v1/recognize, body": ("/v1/recognize", content, {"Content-Type": "image/jpeg"}, "*/*"),
        "RecognizeImage, JSON": (connect, request, {"Content-Type": "application/json"}, "*/*"),
    }
    for name, (path, body, headers, accept) in ways.items():
        await asyncio.sleep(1)
        Path(f"/proc/{page.pid}/clear_refs").write_text("5")  # noqa: ASYNC240 - the kernel's, in memory
        idle = memory_mib(page.pid)
        others = [Browser(page.port, browser.cookie, browser.token) for _ in range(UPLOADS)]
        answers = await asyncio.gather(*(one.ask("POST", path, body, headers, accept) for one in others))
        counts = dict(Counter(one.status for one in answers))
        each = (memory_mib(page.pid, "VmHWM") - idle) / UPLOADS
        row(f"{name}: peak over idle, each of {UPLOADS}", f"{each:.0f} MiB ({counts}; idle {idle:.0f} MiB)")


async def cards(page: Page) -> None:
    """Time from a drop, of a picture of 300 KB, to the first card that is done: the recognizer takes 0 ms."""
    browser = Browser(page.port)
    await browser.view()
    content, times = jpeg(SMALL), []
    for _ in range(50):
        begin = time.perf_counter()
        answer = await browser.recognize(content)
        times.append(answer.first - begin)
    row("from upload to the first card, beyond the recognizer's own time", spread(times))


async def visitors(page: Page, args: argparse.Namespace) -> None:
    """Latency of the page, and statuses, under visitors."""
    end = time.perf_counter() + args.seconds
    views: list[float] = []
    uploads: list[float] = []
    statuses: Counter[str] = Counter()
    content = jpeg(SMALL)

    async def visit(number: int) -> None:
        browser = Browser(page.port)
        await asyncio.sleep(PAUSE * number / args.visitors)
        while time.perf_counter() < end:
            if not browser.cookie:
                statuses.update(f"file {one.status}" for one in (await browser.view())[1:])
            begin = time.perf_counter()
            answer = await browser.get("/")
            views.append(time.perf_counter() - begin)
            statuses[f"page {answer.status}"] += 1
            await asyncio.sleep(PAUSE)

    async def upload() -> None:
        browser = Browser(page.port)
        await browser.view()
        while time.perf_counter() < end:
            begin = time.perf_counter()
            answer = await browser.recognize(content)
            uploads.append(time.perf_counter() - begin)
            busy = b"Busy, not asked" in answer.body
            statuses[f"upload {answer.status}{', one card says busy' if busy else ''}"] += 1

    rest = range(args.visitors - args.uploading)
    await asyncio.gather(*map(visit, rest), *(upload() for _ in range(args.uploading)))
    row(f"GET / with {len(rest)} visitors and {args.uploading} uploading", spread(views))
    row("recognition, all events", spread(uploads))
    row("requests", f"{sum(statuses.values()) / args.seconds:.0f} a second")
    row("answers", ", ".join(f"{count} {what}" for what, count in sorted(statuses.items())))
    row("resident memory, peak", f"{memory_mib(page.pid, 'VmHWM'):.0f} MiB")


def spread(times: list[float]) -> str:
    """Return median and 99th percentile, in ms."""
    cuts = statistics.quantiles(times, n=100)
    return f"{cuts[49] * 1000:.0f} ms in the median, {cuts[98] * 1000:.0f} ms at the 99th percentile"


if __name__ == "__main__":
    main()
