"""Measure a gateway while a recognizer answers whatever it likes: memory after many such calls, CPU for a good one.

usage: PYTHONPATH=. python bench/peers.py [--calls 10000]

Starts a gateway as a process over one recognizer that keeps the contract and one that breaks it in a different way each
time. Prints Markdown rows.
"""

import argparse
import asyncio
import itertools
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import grpc
import structlog

from marquee.v1 import recognizer_pb2 as pb
from tests.support.peers import ABORTS, ANSWERS, Peer, result, served_peer
from tests.support.peers import response as serialized
from tests.support.processes import PATIENCE, cpu_seconds, free_port, memory_mib, spawn
from tests.support.servers import Scripted, Stub, leaf, request

CONCURRENT = 16
STEPS = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000)
    args = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    asyncio.run(measure(args.calls))


async def measure(calls: int) -> None:
    """Call the gateway; print its memory after each fifth of the calls, and the CPU time of good calls."""
    bad = itertools.cycle([*([one()] for one in ANSWERS.values()), *ABORTS.values()])
    labels = [pb.Label(name=f"Label {n}", score=0.5, parents=["Parent"]) for n in range(10)]
    async with AsyncExitStack() as stack:
        peer = Peer()
        targets = {
            "good": await stack.enter_async_context(leaf(Scripted("good", result=result(labels=labels)))),
            "peer": await stack.enter_async_context(served_peer(peer)),
        }
        address, pid = stack.enter_context(gateway(targets))
        client = Stub(await stack.enter_async_context(grpc.aio.insecure_channel(address)))
        peer.answer = [serialized(result(labels=labels))]
        await many(client, 200)
        begin = cpu_seconds(pid)
        await many(client, 1000)
        print(f"| CPU of a call that both answer well | {(cpu_seconds(pid) - begin):.2f} ms |")
        print(f"| memory before | {memory_mib(pid):.1f} MiB |")
        for step in range(1, STEPS + 1):
            for _ in range(calls // STEPS // CONCURRENT):
                peer.answer = next(bad)
                await many(client, CONCURRENT)
            print(f"| memory after {calls * step // STEPS} bad answers | {memory_mib(pid):.1f} MiB |")


async def many(client: Stub, calls: int) -> None:
    """Make the calls, some at a time, unary and streaming by turns."""
    for number in range(0, calls, CONCURRENT):
        unary = (client.RecognizeImage(request(), timeout=60) for _ in range(CONCURRENT))
        await asyncio.gather(*unary if number // CONCURRENT % 2 else (_streamed(client) for _ in range(CONCURRENT)))


async def _streamed(client: Stub) -> None:
    async for _ in client.StreamRecognizeImage(request(), timeout=60):
        pass


@contextmanager
def gateway(targets: dict[str, str]) -> Iterator[tuple[str, int]]:
    """Start a gateway over the recognizers; yield its address and process id."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "gateway.yaml"
        entries = "".join(f"  {name}: {{target: '{target}'}}\n" for name, target in targets.items())
        config.write_text(f"cache: {{mib: 0}}\nrecognizers:\n{entries}")
        port = str(free_port())
        own = {
            "MARQUEE_GATEWAY_CONFIG": str(config),
            "MARQUEE_PORT": port,
            "MARQUEE_METRICS_PORT": str(free_port()),
            "MARQUEE_LOG_LEVEL": "error",
        }
        command = [sys.executable, "-m", "services.gateway"]
        with spawn(command, env=os.environ | own) as process:
            channel = grpc.insecure_channel(f"127.0.0.1:{port}")
            grpc.channel_ready_future(channel).result(PATIENCE)
            channel.close()
            yield f"127.0.0.1:{port}", process.pid


if __name__ == "__main__":
    main()
