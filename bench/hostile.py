"""Measure how long liveness waits while a server gets what no well-meaning caller sends.

usage: PYTHONPATH=. python bench/hostile.py [--rounds 5] [--at-once 8]

Starts the local system. To each server, another process sends every request of tests/support/hostile.py, AT_ONCE at a
time, while liveness is asked every 50 ms on a connection of its own. Prints Markdown rows.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.names import SERVERS
from tests.support.hostile import ENROLLMENTS, RECOGNITIONS, STREAM, Hostile
from tests.support.processes import local_system

_PAUSE_SECONDS = 0.05


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--at-once", type=int, default=8)
    args = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        local_system(Path(folder)) as system,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
    ):
        pool.submit(_send, system.address("gateway"), 0, 1).result()  # imports
        print("| server | requests | other statuses | liveness asked | median | worst |\n|---|---|---|---|---|---|")
        for server in SERVERS:
            sending = pool.submit(_send, system.address(server), args.rounds, args.at_once)
            waits = _probe(system.address(server), sending.done)
            total, others = sending.result()
            median, worst = (f"{1000 * wait:.1f} ms" for wait in (statistics.median(waits), max(waits)))
            print(f"| {server} | {total} | {others} | {len(waits)} | {median} | {worst} |")


def _probe(address: str, is_over: Callable[[], bool]) -> list[float]:
    """Ask for liveness until it is over; return how long each answer took, in seconds."""
    waits = []
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while not is_over():
            begin = time.perf_counter()
            stub.Check(health_pb2.HealthCheckRequest(service="liveness"), timeout=60)
            waits.append(time.perf_counter() - begin)
            time.sleep(_PAUSE_SECONDS)
    return waits


def _send(address: str, rounds: int, at_once: int) -> tuple[int, int]:
    """Send every request; return how many there were, and how many got another status than they should."""
    return asyncio.run(_send_all(address, rounds, at_once))


async def _send_all(address: str, rounds: int, at_once: int) -> tuple[int, int]:
    requests = [*RECOGNITIONS.values(), *ENROLLMENTS.values()] * rounds
    slots = asyncio.Semaphore(at_once)
    async with grpc.aio.insecure_channel(address, options=[("grpc.max_metadata_size", 1 << 20)]) as channel:

        async def is_other(hostile: Hostile) -> bool:
            async with slots:
                kind = channel.unary_stream if hostile.method == STREAM else channel.unary_unary
                call = kind(hostile.method)(hostile.data, timeout=60, metadata=hostile.metadata)
                return (await call.code()).name not in (hostile.code, "UNIMPLEMENTED")

        return len(requests), sum(await asyncio.gather(*map(is_other, requests)))


if __name__ == "__main__":
    main()
