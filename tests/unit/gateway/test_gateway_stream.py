"""A gateway's stream, which sends each result as soon as it arrives."""

import asyncio

import grpc
import pytest

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import Throttled
from tests.support.servers import LEFT, NEAR_LEFT, Scripted, face, gateway_client, request, until


def result_of(name: str) -> pb.RecognizerResult:
    return pb.RecognizerResult(faces=[face(LEFT, name)], labels=[pb.Label(name="Person", score=0.5)], cost_micro_usd=3)


def timeless(response: pb.RecognizeImageResponse) -> pb.RecognizeImageResponse:
    """Return the response without times and with its results sorted by name."""
    response.ClearField("timings")
    for result in response.results:
        result.ClearField("timings")
    response.results.sort(key=lambda result: result.recognizer)
    return response


async def test_the_quick_one_comes_first() -> None:
    """A quick recognizer's result does not wait for a slow one, whatever their configured order."""
    go = asyncio.Event()
    async with gateway_client(Scripted("slow", until=go.is_set), Scripted("quick")) as client:
        messages = []
        async for message in client.StreamRecognizeImage(request()):
            messages.append(message)
            go.set()
    assert [[one.recognizer for one in message.results] for message in messages] == [["quick"], ["slow"], []]


async def test_merged_messages_equal_the_unary_response() -> None:
    """Merged, the stream's messages equal RecognizeImage's response, except for times."""
    recognizers = [Scripted("svm", result=result_of("Ada"), seconds=0.05), Scripted("aws", result=result_of("Bob"))]
    async with gateway_client(*recognizers) as client:
        merged = pb.RecognizeImageResponse()
        async for message in client.StreamRecognizeImage(request(request_id="r")):
            merged.MergeFrom(message)
        unary = await client.RecognizeImage(request(request_id="r"))
    assert timeless(merged) == timeless(unary)


async def test_the_last_message_has_the_verdicts() -> None:
    """The last message has the verdicts, labels and costs, but no result."""
    recognizers = [Scripted("svm", result=result_of("Ada")), Scripted("aws", result=result_of("ada"))]
    recognizers[1].result.faces[0].box.CopyFrom(face(NEAR_LEFT).box)
    async with gateway_client(*recognizers) as client:
        *first, last = [message async for message in client.StreamRecognizeImage(request())]
    assert [(len(one.results), len(one.verdicts), len(one.labels)) for one in first] == [(1, 0, 0), (1, 0, 0)]
    assert (len(last.results), len(last.verdicts), len(last.labels), last.cost_micro_usd) == (0, 1, 1, 6)


async def test_a_failure_is_a_result_of_the_stream() -> None:
    """A recognizer that fails is an ERROR result in the stream."""
    async with gateway_client(Scripted("svm"), Scripted("aws", error=Throttled("slow"))) as client:
        messages = [message async for message in client.StreamRecognizeImage(request())]
    assert {(one.recognizer, one.outcome) for message in messages for one in message.results} == {
        ("svm", pb.OUTCOME_OK),
        ("aws", pb.OUTCOME_ERROR),
    }


async def test_if_all_fail_the_stream_fails() -> None:
    """If all recognizers fail, the stream sends their results and then fails with the status of the unary call."""
    async with gateway_client(Scripted("aws", error=Throttled("slow"))) as client:
        call = client.StreamRecognizeImage(request())
        assert (await call.read()).results[0].outcome == pb.OUTCOME_ERROR
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_cancelled_stream_cancels_the_recognizers() -> None:
    """When the caller cancels after the first result, the other recognizers are cancelled."""
    slow = Scripted("slow", seconds=60)
    async with gateway_client(slow, Scripted("quick")) as client:
        call = client.StreamRecognizeImage(request())
        assert (await call.read()).results[0].recognizer == "quick"
        await until(lambda: slow.calls)
        call.cancel()
        await until(lambda: slow.cancelled == 1)


async def test_a_caller_that_does_not_read_holds_nothing_up() -> None:
    """A caller that pauses after the first message gets the rest when it reads on."""
    async with gateway_client(Scripted("svm", seconds=0.1), Scripted("keras")) as client:
        call = client.StreamRecognizeImage(request())
        first = await call.read()
        await asyncio.sleep(0.3)
        rest = [await call.read(), await call.read()]
    assert [len(message.results) for message in (first, *rest)] == [1, 1, 0]
