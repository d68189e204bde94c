"""Calls at a steady rate for a while and counts what failed. Runs in the cluster, in the stand-ins' image.

usage: load.py TARGET PICTURE RATE SECONDS RECOGNIZER. Prints one JSON object. What is retried is what the published
service config says; with RETRIES=0 in the environment nothing is.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

import grpc

from marquee.channels import service_config
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1 import recognizer_pb2_grpc

_OPTIONS = (
    ("grpc.service_config", service_config()),
    ("grpc.enable_retries", int(os.environ.get("RETRIES", "1"))),
    ("grpc.dns_min_time_between_resolutions_ms", 1000),
)


async def main(target: str, picture: bytes, rate: float, seconds: float, recognizer: str) -> None:
    """Sends each call at its time, whether or not others have been answered."""
    request = pb.RecognizeImageRequest(image=pb.Image(content=picture), recognizers=[recognizer])
    async with grpc.aio.insecure_channel(target, options=_OPTIONS) as channel:
        stub = recognizer_pb2_grpc.RecognizerServiceStub(channel)
        await stub.ListRecognizers(pb.ListRecognizersRequest(), timeout=60, wait_for_ready=True)
        begin = time.monotonic()
        calls = []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(begin + number / rate - time.monotonic())
            calls.append(asyncio.create_task(_call(stub, request, begin)))
        _report(await asyncio.gather(*calls))


async def _call(
    stub: recognizer_pb2_grpc.RecognizerServiceStub, request: pb.RecognizeImageRequest, begin: float
) -> tuple[str, float, float]:
    start = time.monotonic()
    try:
        answer = await stub.RecognizeImage(request, timeout=20)
        how = pb.Outcome.Name(answer.results[0].outcome)
    except grpc.aio.AioRpcError as exc:
        how = f"{exc.code().name}: {exc.details()}"
    return how, time.monotonic() - start, start - begin


def _report(calls: list[tuple[str, float, float]]) -> None:
    took = sorted(seconds for _, seconds, _ in calls)
    failed = [(round(at, 1), how) for how, _, at in calls if how != "OUTCOME_OK"]
    facts = {
        "calls": len(calls),
        "outcomes": Counter(how for how, _, _ in calls),
        "failed": failed[:20],
        "p50_ms": round(took[len(took) // 2] * 1000),
        "p99_ms": round(took[int(len(took) * 0.99)] * 1000),
    }
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]).read_bytes(), float(sys.argv[3]), float(sys.argv[4]), sys.argv[5]))
