"""Measure what receiving a request costs, and what senders that stall cost, side by side for several checkouts.

usage: PYTHONPATH=. python bench/receipt.py CHECKOUT [CHECKOUT …] [--calls 20] [--stalled 60] [--mib 16]

Starts a server with a scripted recognizer from each checkout. Prints Markdown rows: the median of a call by the size of
its picture and the link, with the calls of all checkouts in turn; the processor's time a small call; and, with STALLED
requests that stop a byte short of 15 MiB, resident memory and the slowest call of 100 KB beside them.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from marquee.v1 import recognizer_pb2 as pb
from marquee.v1.recognizer_pb2_grpc import RecognizerServiceStub
from tests.support import senders
from tests.support.processes import cpu_seconds, free_port, memory_mib, serving, spawn, wait_until
from tests.support.servers import picture

SIZES = {"1 KB": 1_000, "100 KB": 100_000, "1 MB": 1_000_000, "15 MB": 15_000_000}
CPU_CALLS = 2000
OPTIONS = (("grpc.max_send_message_length", 16 * 1024 * 1024), ("grpc.use_local_subchannel_pool", 1))


@dataclass(frozen=True)
class Link:
    """A network: seconds that a byte travels, and bytes a second."""

    name: str
    delay: float = 0.0
    rate: float = float("inf")


LINKS = (Link("loopback"), Link("50 ms there and back", 0.025), Link("the same at 20 Mbit/s", 0.025, 2.5e6))


@dataclass(frozen=True)
class Server:
    """A running server."""

    root: Path
    address: str
    pid: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs="+", type=Path)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--stalled", type=int, default=60)
    parser.add_argument("--mib", type=int, default=16)
    parser.add_argument("--stall", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.stall:
        asyncio.run(stall(args.stall, args.stalled))
        return
    roots = [each.resolve() for each in args.checkouts]
    print(f"| what | {' | '.join(each.parent.name + '/' + each.name for each in roots)} |\n|---|{'---|' * len(roots)}")
    with servers(roots) as running:
        for link in LINKS:
            asyncio.run(latencies(running, link, args.calls))
        print_row("processor's time, 1 KB", [f"{cpu_ms(each):.2f} ms" for each in running])
    with servers(roots, MARQUEE_MAX_IN_FLIGHT_MIB=str(args.mib)) as running:
        rows = [asyncio.run(beside_stalled(each, args.stalled)) for each in running]
        print_row(f"resident, then peak with {args.stalled} stalled", [row[0] for row in rows])
        print_row("slowest call of 100 KB beside them", [row[1] for row in rows])


@contextmanager
def servers(roots: Sequence[Path], **settings: str) -> Iterator[list[Server]]:
    """Start a server from each checkout; yield them once they serve."""
    with ExitStack() as stack:
        running = []
        for root in roots:
            port = free_port()
            own = {"MARQUEE_PORT": str(port), "MARQUEE_METRICS_PORT": str(free_port()), "PYTHONPATH": str(root)}
            command = [sys.executable, "-m", "tests.support.servers"]
            environment = os.environ | own | settings
            server = stack.enter_context(spawn(command, cwd=root, env=environment, stderr=subprocess.DEVNULL))
            wait_until(lambda address=f"127.0.0.1:{port}": serving(address))  # type: ignore[misc]
            running.append(Server(root, f"127.0.0.1:{port}", server.pid))
        yield running


async def latencies(running: Sequence[Server], link: Link, calls: int) -> None:
    """Print a row for each size: the median of a call, one at a time."""
    async with AsyncExitStack() as stack:
        stubs = []
        for each in running:
            address = await stack.enter_async_context(through(link, each.address))
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(address, options=OPTIONS))
            stubs.append(RecognizerServiceStub(channel))
        for name, size in SIZES.items():
            count = max(3, calls // 4) if link.delay else calls
            times = [[await seconds(stub, size) for stub in stubs] for _ in range(count + 1)][1:]
            medians = (statistics.median(column) for column in zip(*times, strict=True))
            print_row(f"{name}, {link.name}", [f"{median * 1000:.1f} ms" for median in medians])


async def seconds(stub: RecognizerServiceStub, size: int) -> float:
    """Return the seconds that a call with a picture of that size takes."""
    request = pb.RecognizeImageRequest(image=pb.Image(content=picture().ljust(size, b"\0")))
    begin = time.perf_counter()
    await stub.RecognizeImage(request, timeout=120)
    return time.perf_counter() - begin


@asynccontextmanager
async def through(link: Link, address: str) -> AsyncIterator[str]:
    """Yield the address of the server at the end of the link."""
    if not link.delay:
        yield address
        return

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*address.split(":"))
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(carry(link, reader, back), carry(link, there, writer))
        back.close()
        writer.close()

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def carry(link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Write what is read, later, as a network without loss does."""
    loop, free = asyncio.get_running_loop(), 0.0
    while data := await reader.read(64 * 1024):
        free = max(free, loop.time()) + len(data) / link.rate
        loop.call_at(free + link.delay, writer.write, data)
        await asyncio.sleep(free - loop.time() - link.delay)
    await asyncio.sleep(link.delay)


def cpu_ms(server: Server) -> float:
    """Return the server's processor time for a small call, in milliseconds."""

    async def call() -> float:
        async with grpc.aio.insecure_channel(server.address, options=OPTIONS) as channel:
            stub = RecognizerServiceStub(channel)
            await seconds(stub, 1_000)
            before = cpu_seconds(server.pid)
            for _ in range(CPU_CALLS):
                await seconds(stub, 1_000)
            return cpu_seconds(server.pid) - before

    return asyncio.run(call()) / CPU_CALLS * 1000


async def beside_stalled(server: Server, count: int) -> tuple[str, str]:
    """Return the server's memory before and its peak, and the slowest call, while another process stalls."""
    before, slowest = memory_mib(server.pid), 0.0
    command = [sys.executable, "bench/receipt.py", ".", "--stall", server.address, "--stalled", str(count)]
    with spawn(command) as sender:
        async with grpc.aio.insecure_channel(server.address, options=OPTIONS) as channel:
            stub = RecognizerServiceStub(channel)
            while sender.poll() is None:
                slowest = max(slowest, await seconds(stub, 100_000))
                await asyncio.sleep(0.05)
    return f"{before:.0f} MiB, {memory_mib(server.pid, 'VmHWM'):.0f} MiB", f"{slowest:.2f} s"


async def stall(address: str, count: int) -> None:
    """Begin that many calls, send all but the last byte of each, and stay for ten seconds."""
    body = senders.message(bytes(15 * 1024 * 1024))[:-1]
    async with senders.connection(address) as connection:
        calls = [asyncio.create_task(connection.send(connection.call(), body)) for _ in range(count)]
        await asyncio.sleep(10)
        for call in calls:
            call.cancel()


def print_row(what: str, values: Sequence[str]) -> None:
    """Print a row of the table."""
    print(f"| {what} | {' | '.join(values)} |", flush=True)


if __name__ == "__main__":
    main()
