"""Add pictures while the gateway is away and replicas are killed, and count what came of it.

usage: PYTHONPATH=. python bench/library/outage.py [--pictures 5000] [--away 30] [--kills 5] [--folder FOLDER]

Two replicas of the library, each a process, share an embedded PostgreSQL with fsync on. A real gateway over one
recognizer, which counts its calls by the picture, is taken away for a while once a fifth of the pictures is recognized.
Replicas are killed with SIGKILL, in turn, and started again at once: one while it is away, the others evenly spread.
Callers repeat a call that failed with its request_id. Then the same with a gateway that stays, and one kill. Prints a
Markdown table; ends with 1 if any picture is missing, or is there twice. Everything is deleted at the end.
"""

import argparse
import asyncio
import hashlib
import io
import itertools
import logging
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import grpc
import structlog
from PIL import Image as Pillow

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.v1 import recognizer_pb2
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Options
from tests.support.library import measured_database
from tests.support.processes import free_port
from tests.support.servers import LEFT, LeafProcess, Scripted, face, gateway, leaf, result

CALLERS = 8
REPLICAS = 2
LEASE_SECONDS = 5
COLUMNS = ("pictures", "kills", "gateway away, s", "all recognized after, s", "missing", "twice")
CALL_COLUMNS = ("calls to the recognizer", "of them repeated", "counted by the library", "most repeats of a picture")
CHECKS = """
SELECT (SELECT count(*) FROM picture WHERE state = 2), (SELECT count(*) FROM answer), (SELECT count(*) FROM face),
  (SELECT count(*) FROM event WHERE type = 'picture.added'),
  (SELECT count(*) FROM event WHERE type = 'picture.recognized'), (SELECT sum(repeated_calls) FROM job),
  (SELECT count(*) FROM picture)
"""


class Counting(Scripted):
    """A recognizer that counts its calls by the picture."""

    def __init__(self) -> None:
        super().__init__("svm", result=result("svm", face(LEFT, "Anna"), cost_micro_usd=1000), seconds=0.02)
        self.counts: Counter[bytes] = Counter()

    async def recognize(self, image: Image, options: Options) -> recognizer_pb2.RecognizerResult:
        """Count the call, and return the result."""
        self.counts[hashlib.sha256(image.content).digest()] += 1
        self.calls.clear()
        return await super().recognize(image, options)


@dataclass
class Run:
    """A run: its library's replicas, and how far it is."""

    folder: Path
    url: str
    gateway: str
    pictures: int
    replicas: list[LeafProcess] = field(default_factory=list)
    ports: list[int] = field(default_factory=lambda: [free_port() for _ in range(REPLICAS)])
    added: int = 0

    def start(self, number: int) -> LeafProcess:
        """Start a replica at its port."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        own = {
            "MARQUEE_PORT": str(self.ports[number]),
            "MARQUEE_LIBRARY_DATABASE_URL": self.url,
            "MARQUEE_LIBRARY_STORE": (self.folder / "store").as_uri(),
            "MARQUEE_LIBRARY_GATEWAY": self.gateway,
            "MARQUEE_LIBRARY_LEASE_SECONDS": str(LEASE_SECONDS),
        }
        return LeafProcess(folder, module="services.library", **own)

    async def kill(self, number: int) -> None:
        """Kill a replica, and start it again."""
        self.replicas[number].process.kill()
        await asyncio.to_thread(self.replicas[number].close)
        self.replicas[number] = self.start(number)

    async def add_all(self) -> None:
        """Add the pictures, by several callers at once."""
        numbers = iter(range(self.pictures))
        async with AsyncExitStack() as stack:
            channels = [grpc.aio.insecure_channel(f"127.0.0.1:{port}") for port in self.ports]
            stubs = [LibraryServiceStub(await stack.enter_async_context(one)) for one in channels]
            await asyncio.gather(*(self._add_some(numbers, itertools.cycle(stubs)) for _ in range(CALLERS)))

    async def _add_some(self, numbers: "itertools.count[int]", stubs: "itertools.cycle[LibraryServiceStub]") -> None:
        for number in numbers:
            image = recognizer_pb2.Image(content=picture(number))
            request = pb.AddImageRequest(request_id=f"picture-{number}", image=image, path=f"{number}.png")
            while True:
                try:
                    await next(stubs).AddImage(request, timeout=10)
                    break
                except grpc.aio.AioRpcError as exc:
                    if exc.code() not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}:
                        raise
                    await asyncio.sleep(0.1)
            self.added += 1

    async def reach(self, share: float) -> None:
        """Wait until so much of the pictures is recognized, or as much is added while nothing can be."""
        while await self.done() < share * self.pictures:  # noqa: ASYNC110 - other processes do it
            await asyncio.sleep(0.2)

    async def done(self) -> int:
        """Return the number of pictures that are recognized."""
        return int((await self.query("SELECT count(*) FROM job WHERE state IN (3, 4)"))[0])

    async def query(self, statement: str) -> tuple[int, ...]:
        """Return a row of numbers."""
        connection = await asyncpg.connect(self.url)
        try:
            return tuple(int(one or 0) for one in await connection.fetchrow(statement))
        finally:
            await connection.close()


def main() -> None:
    """Run both, and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--away", type=float, default=30, help="seconds")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="on the disk to use; default: the temporary folder")
    args = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    columns = (*COLUMNS, *CALL_COLUMNS)
    print(f"| {' | '.join(columns)} |", f"|{'---:|' * len(columns)}", sep="\n")
    fine = [one(args.folder, args.pictures, *case) for case in ((args.away, args.kills), (0.0, 1))]
    sys.exit(0 if all(fine) else 1)


def one(parent: Path | None, pictures: int, away: float, kills: int) -> bool:
    """Run once, in a folder and a database of its own; return whether each picture is there once."""
    with measured_database(parent) as (folder, url):
        return asyncio.run(measure(folder, url, pictures, away, kills))


async def measure(folder: Path, url: str, pictures: int, away: float, kills: int) -> bool:
    """Add the pictures, make trouble, wait for the end, and print the row."""
    recognizer, port = Counting(), free_port()
    run = Run(folder, url, f"127.0.0.1:{port}", pictures)
    async with leaf(recognizer) as target:
        run.replicas = [run.start(number) for number in range(REPLICAS)]
        try:
            begin = time.perf_counter()
            adding = asyncio.create_task(run.add_all())
            killing = asyncio.create_task(make_trouble(run, kills - 1 if away else kills))
            await gateway_with_outage(run, target, port, away)
            await asyncio.gather(adding, killing)
            return await report(run, recognizer, away, kills, time.perf_counter() - begin)
        finally:
            for replica in run.replicas:
                replica.close()


async def gateway_with_outage(run: Run, target: str, port: int, away: float) -> None:
    """Serve the gateway until all pictures are recognized, but for the time that it is away."""
    if away:
        async with gateway({"svm": target}, port=port):
            await run.reach(0.2)
        await asyncio.sleep(away / 2)
        await run.kill(0)
        await asyncio.sleep(away / 2)
    async with gateway({"svm": target}, port=port):
        await run.reach(1)


async def make_trouble(run: Run, kills: int) -> None:
    """Kill replicas in turn, evenly spread over the run."""
    for number in range(kills):
        await run.reach((number + 1) / (kills + 1))
        await run.kill(number % REPLICAS)


async def report(run: Run, recognizer: Counting, away: float, kills: int, seconds: float) -> bool:
    """Print the row; return whether each picture is there once, with all that belongs to it."""
    recognized, *rows, counted, pictures = await run.query(CHECKS)
    calls = recognizer.counts.total()
    missing = run.pictures - min(recognized, *rows)
    twice = max(pictures, *rows) - run.pictures
    numbers = (run.pictures, kills, f"{away:g}", f"{seconds:.0f}", missing, twice)
    most = max(recognizer.counts.values()) - 1
    print(f"| {' | '.join(map(str, (*numbers, calls, calls - len(recognizer.counts), counted, most)))} |", flush=True)
    return not missing and not twice and len(recognizer.counts) == run.pictures


def picture(number: int) -> bytes:
    """Return a picture that is no other one."""
    content = io.BytesIO()
    Pillow.new("RGB", (32, 32), (number % 256, number // 256 % 256, number // 65536)).save(content, "PNG")
    return content.getvalue()


if __name__ == "__main__":
    main()
