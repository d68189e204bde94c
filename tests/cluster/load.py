"""Send calls at a steady rate and count failures; runs in the cluster, in the stand-ins' image.

usage: load.py TARGET PICTURE RATE SECONDS RECOGNIZER. Prints one JSON object. Calls are retried as the published
service config says; RETRIES=0 in the environment turns retries off. If CREDENTIALS names a folder, calls go over TLS,
each with the `token` that is in it at that moment.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

import grpc

from marquee.channels.connection import service_config
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1 import recognizer_pb2_grpc

_CREDENTIALS = os.environ.get("CREDENTIALS")
_OPTIONS = (
    ("grpc.service_config", service_config()),
    ("grpc.enable_retries", int(os.environ.get("RETRIES", "1"))),
    ("grpc.dns_min_time_between_resolutions_ms", 1000),
)


async def main(target: str, picture: bytes, rate: float, seconds: float, recognizer: str) -> None:
    """Send each call at its time, whether or not earlier calls have been answered."""
    request = pb.RecognizeImageRequest(image=pb.Image(content=picture), recognizers=[recognizer], no_cache=True)
    async with _channel(target) as channel:
        stub = recognizer_pb2_grpc.RecognizerServiceStub(channel)
        await _until_ready(stub, recognizer)
        begin = time.monotonic()
        calls = []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(begin + number / rate - time.monotonic())
            calls.append(asyncio.create_task(_call(stub, request, begin)))
        _report(await asyncio.gather(*calls))


async def _until_ready(stub: recognizer_pb2_grpc.RecognizerServiceStub, recognizer: str) -> None:
    """Wait until the gateway reaches the recognizer: DNS may say for seconds that a new one is not there."""
    state = None
    while state != pb.RECOGNIZER_STATE_READY:
        request = pb.ListRecognizersRequest()
        listed = await stub.ListRecognizers(request, timeout=60, wait_for_ready=True, metadata=_metadata())
        state = {one.name: one.state for one in listed.recognizers}[recognizer]
        await asyncio.sleep(0.5)


def _channel(target: str) -> grpc.aio.Channel:
    if _CREDENTIALS is None:
        return grpc.aio.insecure_channel(target, options=_OPTIONS)
    credentials = grpc.ssl_channel_credentials(Path(_CREDENTIALS, "ca.crt").read_bytes())
    return grpc.aio.secure_channel(target, credentials, options=_OPTIONS)


def _metadata() -> tuple[tuple[str, str], ...]:
    if _CREDENTIALS is None:
        return ()
    return (("authorization", f"Bearer {Path(_CREDENTIALS, 'token').read_text()}"),)


async def _call(
    stub: recognizer_pb2_grpc.RecognizerServiceStub, request: pb.RecognizeImageRequest, begin: float
) -> tuple[str, float, float]:
    start = time.monotonic()
    try:
        answer = await stub.RecognizeImage(request, timeout=20, metadata=_metadata())
        outcome = pb.Outcome.Name(answer.results[0].outcome)
    except grpc.aio.AioRpcError as exc:
        outcome = f"{exc.code().name}: {exc.details()}"
    return outcome, time.monotonic() - start, start - begin


def _report(calls: list[tuple[str, float, float]]) -> None:
    durations = sorted(seconds for _, seconds, _ in calls)
    failed = [(round(at, 1), outcome) for outcome, _, at in calls if outcome != "OUTCOME_OK"]
    facts = {
        "calls": len(calls),
        "outcomes": Counter(outcome for outcome, _, _ in calls),
        "failed": failed[:20],
        "p50_ms": round(durations[len(durations) // 2] * 1000),
        "p99_ms": round(durations[int(len(durations) * 0.99)] * 1000),
    }
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]).read_bytes(), float(sys.argv[3]), float(sys.argv[4]), sys.argv[5]))
