"""Measure what a call through the recognizer costs beyond the same call made directly with boto3.

usage: PYTHONPATH=. python bench/rekognition/overhead.py [--seconds 4] [--rounds 5]

Each call is one RecognizeCelebrities of a JPEG of 100 KB. Direct calls and calls through gRPC alternate, round by
round, against the same stand-in: with 1 caller (for the median call) and with 32 callers (for calls per second).
Callers are threads of a separate process.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import numpy as np
from botocore.config import Config
from parts import ROOT, replicas, stub
from PIL import Image

from local.stack import CREDENTIALS
from marquee import Client

LATENCIES = (0.0, 0.05, 0.2)
"""Seconds that the stand-in takes to answer; Amazon takes 0.2 and more."""


def main() -> None:
    """Measure and print a Markdown table or, with --as, one measurement as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--as", dest="role", choices=("boto3", "marquee"))
    parser.add_argument("--at")
    parser.add_argument("--callers", type=int)
    args = parser.parse_args()
    os.environ.update(CREDENTIALS)
    if args.role:
        print(json.dumps(measure(args.role, args.at, args.callers, args.seconds)))
        return
    print("| stand-in's latency | boto3 p50, c=1 | through Marquee | more | boto3 calls/s, c=32 | Marquee | share |")
    print("|---|---|---|---|---|---|---|")
    for latency in LATENCIES:
        print(row(latency, args.rounds, args.seconds), flush=True)


def row(latency: float, rounds: int, seconds: float) -> str:
    """Return one row of the table, with medians over the rounds."""
    environment = {"MARQUEE_REKOGNITION_RATE": "10000", "MARQUEE_QUEUE": "128"}
    with (
        stub(latency=latency) as url,
        replicas(1, MARQUEE_REKOGNITION_ENDPOINT_URL=url, **environment) as (address,),
    ):
        alone = _pairs(url, address, 1, rounds, seconds)
        many = _pairs(url, address, 32, rounds, seconds)
    direct, through = (statistics.median(one[side]["p50_ms"] for one in alone) for side in (0, 1))
    more = statistics.median(two["p50_ms"] - one["p50_ms"] for one, two in alone)
    plain, ours = (statistics.median(one[side]["per_second"] for one in many) for side in (0, 1))
    share = statistics.median(two["per_second"] / one["per_second"] for one, two in many)
    return (
        f"| {latency * 1000:.0f} ms | {direct:.1f} ms | {through:.1f} ms | {more:.1f} ms "
        f"| {plain:.0f} | {ours:.0f} | {share:.2f} |"
    )


def measure(role: str, at: str, callers: int, seconds: float) -> dict[str, float]:
    """Return the median call in milliseconds and the calls per second of this many callers."""
    content = picture()
    recognize = _boto3(at, callers) if role == "boto3" else _marquee(at)
    recognize(content)  # connects
    durations: list[float] = []
    end = time.perf_counter() + seconds

    def call_on(_: int) -> None:
        while (begin := time.perf_counter()) < end:
            recognize(content)
            durations.append(time.perf_counter() - begin)

    begin = time.perf_counter()
    with ThreadPoolExecutor(callers) as threads:
        list(threads.map(call_on, range(callers)))
    return {"p50_ms": statistics.median(durations) * 1000, "per_second": len(durations) / (time.perf_counter() - begin)}


def picture() -> bytes:
    """Return a JPEG of about 100 KB."""
    noise = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize((960, 720)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _boto3(url: str, callers: int) -> "object":
    config = Config(max_pool_connections=callers, retries={"total_max_attempts": 1})
    client = boto3.client("rekognition", endpoint_url=url, config=config)
    return lambda content: client.recognize_celebrities(Image={"Bytes": content})


def _marquee(address: str) -> "object":
    client = Client(address)
    return lambda content: client.recognize(content, features=["CELEBRITIES"], timeout=60)


def _pairs(url: str, address: str, callers: int, rounds: int, seconds: float) -> list[tuple[dict, dict]]:
    load = (callers, seconds)
    return [(_in_a_process("boto3", url, *load), _in_a_process("marquee", address, *load)) for _ in range(rounds)]


def _in_a_process(role: str, at: str, callers: int, seconds: float) -> dict[str, float]:
    command = [sys.executable, str(Path(__file__)), "--as", role, "--at", at]
    command += ["--callers", str(callers), "--seconds", str(seconds)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return dict(json.loads(subprocess.check_output(command, env=environment, text=True)))


if __name__ == "__main__":
    main()
