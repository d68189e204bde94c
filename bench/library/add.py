"""Measure AddImage until PENDING: 100 KB pictures, by one caller and by eight.

usage: PYTHONPATH=. python bench/library/add.py [--pictures 1000] [--kib 100] [--folder FOLDER]

Starts an embedded PostgreSQL with fsync on, and a library without workers in a process of its own; its store is a
folder beside the database. Callers send pictures one after the other over loopback, each picture a new one. Prints
Markdown rows: p50 and p99 of a call, calls a second, and the CPU time of the library for each. Everything is deleted at
the end.
"""

import argparse
import asyncio
import io
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import grpc
import numpy as np
from PIL import Image as Pillow

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.v1 import recognizer_pb2
from tests.support.library import measured_database
from tests.support.processes import cpu_seconds, server

CALLERS = (1, 8)
WARM_UP = 50


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1000, help="by each number of callers")
    parser.add_argument("--kib", type=int, default=100)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; default: the temporary folder")
    args = parser.parse_args()
    with measured_database(args.folder) as (folder, url):
        measure(folder, url, args.pictures, args.kib * 1024)


def measure(folder: Path, url: str, pictures: int, size: int) -> None:
    """Serve a library with its data in the folder, and add pictures to it."""
    settings = {
        "MARQUEE_LIBRARY_DATABASE_URL": url,
        "MARQUEE_LIBRARY_STORE": (folder / "store").as_uri(),
        "MARQUEE_LIBRARY_WORKERS": "0",
        "MARQUEE_LOG_LEVEL": "warning",
    }
    print(f"| pictures of {size // 1024} KiB | p50 ms | p99 ms | calls/s | CPU ms a call |\n|---|---|---|---|---|")
    with server("services.library", os.environ | settings) as library:
        asyncio.run(added(library.address, 1, WARM_UP, size))
        for callers in CALLERS:
            before, begin = cpu_seconds(library.process.pid), time.perf_counter()
            seconds = asyncio.run(added(library.address, callers, pictures, size))
            took, used = time.perf_counter() - begin, cpu_seconds(library.process.pid) - before
            median, most = (1000 * value for value in (statistics.median(seconds), percentile(seconds, 99)))
            rate, cost = pictures / took, 1000 * used / pictures
            print(f"| {pictures} by {callers} | {median:.1f} | {most:.1f} | {rate:.0f} | {cost:.1f} |")


async def added(address: str, callers: int, pictures: int, size: int) -> list[float]:
    """Return the seconds that each of the calls takes."""
    image = jpeg(size)
    options = (("grpc.max_send_message_length", -1),)
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        await asyncio.wait_for(channel.channel_ready(), 60)
        client = LibraryServiceStub(channel)

        async def call() -> float:
            content = image + os.urandom(16)  # behind its end, so that it is another file
            request = pb.AddImageRequest(image=recognizer_pb2.Image(content=content), path="holidays/picture.jpg")
            begin = time.perf_counter()
            await client.AddImage(request, wait_for_ready=True)
            return time.perf_counter() - begin

        async def caller() -> list[float]:
            return [await call() for _ in range(pictures // callers)]

        return [one for each in await asyncio.gather(*(caller() for _ in range(callers))) for one in each]


def jpeg(size: int) -> bytes:
    """Return a JPEG picture of about so many bytes."""
    noise = np.random.default_rng(0).integers(0, 256, (512, 768, 3), np.uint8)
    smooth = Pillow.fromarray(noise).resize((128, 96)).resize((1280, 960))
    found = b""
    for quality in range(20, 96, 5):
        buffer = io.BytesIO()
        smooth.save(buffer, "JPEG", quality=quality)
        found = buffer.getvalue()
        if len(found) > size:
            break
    return found


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the percentile."""
    return statistics.quantiles(values, n=100)[percent - 1]


if __name__ == "__main__":
    main()
