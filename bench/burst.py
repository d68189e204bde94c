"""Measure the peak memory of every part of the local system during a burst of large pictures.

usage: PYTHONPATH=. python bench/burst.py [--pictures 32] [--mib 64]

Sends all pictures, JPEGs of 13 MB, at once. MIB is the servers' MARQUEE_MAX_IN_FLIGHT_MIB. Prints Markdown rows.
"""

import argparse
import asyncio
import io
import os
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from marquee import AsyncClient, MarqueeError
from tests.support.processes import local_system, memory_mib

PARTS = ("gateway", "svm", "keras", "rekognition")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--mib", type=int, default=64)
    args = parser.parse_args()
    os.environ["MARQUEE_MAX_IN_FLIGHT_MIB"] = str(args.mib)
    with tempfile.TemporaryDirectory() as folder, local_system(Path(folder)) as system:
        pids = {name: int(system.facts["pids"][name]) for name in PARTS}
        before = {name: memory_mib(pids[name]) for name in PARTS}
        outcomes = asyncio.run(burst(system.address("gateway"), args.pictures))
        print(f"{args.pictures} pictures: {', '.join(f'{count} {what}' for what, count in outcomes.most_common())}")
        print("| part | before | peak |\n|---|---|---|")
        for name in PARTS:
            print(f"| {name} | {before[name]:.0f} MiB | {memory_mib(pids[name], 'VmHWM'):.0f} MiB |")


async def burst(address: str, count: int) -> Counter[str]:
    """Start all calls at once; return how many end in which outcome."""
    picture = jpeg(3400)
    async with AsyncClient(address) as client:
        return Counter(await asyncio.gather(*(_outcome(client, picture) for _ in range(count))))


async def _outcome(client: AsyncClient, picture: bytes) -> str:
    try:
        await client.recognize(picture, timeout=60, no_cache=True)
    except MarqueeError as exc:
        return f"{exc.code} {exc.reason}"
    return "answered"


def jpeg(side: int) -> bytes:
    """Return a square JPEG of noise, which hardly compresses."""
    pixels = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Pillow.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
