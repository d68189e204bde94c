"""What a hit in the gateway's cache takes beside the least possible, and how often equal requests are really made."""

import asyncio
import statistics
from collections.abc import Iterator
from functools import partial

import grpc

from bench.gateway import sides
from bench.gateway.costs import Values, rounds
from bench.gateway.load import Failure, Ghz, Load, check, check_answer, picture, say
from bench.gateway.sides import Recognizers, Side, Stage
from bench.gateway.wire import OURS
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1.recognizer_pb2_grpc import RecognizerServiceStub

LOADS = (Load(500, 1, 1000), Load(300, 1, 100_000), Load(100, 1, 1_000_000))
EQUAL = 100
SLOW_MS = 100


def measured(stage: Stage, ghz: Ghz, pairs: int) -> Iterator[tuple[str, Values]]:
    """Yield what is measured, and its values: of an echo that hashes the picture, and of the gateway."""
    with (
        sides.recognizers(stage) as quick,
        sides.bare_aio(None) as echo,
        sides.gateway(stage, quick) as gateway,
    ):
        check(gateway)
        for load in LOADS:
            say(f"hits, {load}")
            content = picture(load.size)
            OURS.recognize(gateway.address, content)
            values = rounds([echo, gateway], pairs, partial(_hits, ghz, load, content, quick))
            yield f"{load}, the same picture, p50 ms", values


def _hits(ghz: Ghz, load: Load, content: bytes, behind: Recognizers, side: Side) -> float:
    """Return the median milliseconds of calls that no recognizer gets. Raises Failure if one does."""
    before = behind.counts()
    if side.metrics_url:
        check_answer(OURS.recognize(side.address, content), from_cache=True)
    latencies = ghz.call(side.address, load, [content])
    if behind.counts() != before:
        raise Failure("Recognizers were asked for a picture that the cache has.")
    return statistics.median(latencies)


def equal_calls(stage: Stage) -> list[int]:
    """Return the calls that each recognizer gets when so many callers ask for the same picture at once."""
    say(f"{EQUAL} equal calls at once")
    with sides.recognizers(stage, SLOW_MS) as slow, sides.gateway(stage, slow) as gateway:
        check(gateway)
        asyncio.run(_call_at_once(gateway, picture(10_000)))
        return [calls - 1 for calls, _ in slow.counts()]


async def _call_at_once(side: Side, content: bytes) -> None:
    """Make the calls. Raises Failure unless one is answered by all recognizers, and the others from the cache."""
    request = pb.RecognizeImageRequest(image=pb.Image(content=content))
    async with grpc.aio.insecure_channel(side.address) as channel:
        stub = RecognizerServiceStub(channel)
        answers = await asyncio.gather(*(stub.RecognizeImage(request, timeout=60) for _ in range(EQUAL)))
    answers.sort(key=lambda answer: answer.results[0].from_cache)
    for number, answer in enumerate(answers):
        check_answer(answer, from_cache=number > 0)
