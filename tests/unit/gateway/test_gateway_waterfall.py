"""Where the time of a call went: in its answer and in its log line."""

from google.protobuf.duration_pb2 import Duration
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.config import BackendConfig
from tests.support.servers import Scripted, gateway, gateway_client, leaf, nobody, outcomes, request, stub


def ms(duration: Duration) -> float:
    return duration.ToNanoseconds() / 1e6


def ends(result: pb.RecognizerResult) -> float:
    """Return when the result was there, in milliseconds from the call's beginning."""
    timings = result.timings
    return sum(map(ms, (timings.start, timings.network, timings.queue, timings.recognizer)))


async def test_the_parts_of_a_call_are_in_order() -> None:
    """The request is received, then recognizers work, then verdicts are made, all of it within the call."""
    async with gateway_client(Scripted("svm", seconds=0.05), Scripted("keras")) as client:
        response = await client.RecognizeImage(request())
    timings = response.timings
    assert ms(timings.queue) > 0
    assert ms(timings.recognizers) >= 50
    assert ms(timings.queue) + ms(timings.recognizers) + ms(timings.fusion) <= ms(timings.total)
    for result in response.results:
        assert ms(timings.queue) <= ms(result.timings.start)
        assert ends(result) <= ms(timings.total)
    assert ms(response.results[0].timings.recognizer) >= 50


async def test_the_last_message_of_a_stream_has_the_times() -> None:
    """A stream's results have their own times, its last message those of the call."""
    async with gateway_client(Scripted("svm")) as client:
        *results, last = [message async for message in client.StreamRecognizeImage(request())]
    assert ms(results[0].results[0].timings.start) > 0
    assert 0 < ms(last.timings.recognizers) <= ms(last.timings.total)


async def test_a_late_recognizer_shows_how_long_it_was_waited_for() -> None:
    """A recognizer that tells no times has all of the call's as the network's: nothing is left out of the sum."""
    async with leaf(Scripted("svm", seconds=60)) as target:
        slow = BackendConfig(target=target, timeout=0.3)
        async with gateway_client(Scripted("keras"), svm=slow) as client:
            response = await client.RecognizeImage(request())
    assert outcomes(response) == {"keras": "OK", "svm": "TIMEOUT"}
    late = response.results[1].timings
    assert 250 <= ms(late.network) <= ms(response.timings.total)
    assert not late.HasField("recognizer")


async def test_behind_another_gateway_starts_add_up() -> None:
    """A recognizer behind two gateways starts after the outer one has called the inner one."""
    async with leaf(Scripted("svm")) as svm, gateway({"svm": svm}) as inner, gateway({"inner": inner}) as outer:
        async with stub(inner) as client:
            alone = await client.RecognizeImage(request())
        async with stub(outer) as client:
            response = await client.RecognizeImage(request())
    assert outcomes(response) == {"inner/svm": "OK"}
    assert ms(response.timings.queue) < ms(response.results[0].timings.start)
    assert alone.results[0].timings.HasField("start")


async def test_the_log_line_has_the_times() -> None:
    """One line tells where a call's time went, in milliseconds, also if it failed."""
    async with gateway_client(Scripted("svm"), gone=nobody()) as client:
        with capture_logs(processors=[merge_contextvars]) as lines:
            response = await client.RecognizeImage(request())
    times = next(line for line in lines if "times" in line)["times"]
    assert {"start", "network", "recognizer"} <= times["svm"].keys()
    assert times["gone"].keys() == {"start", "network"}
    assert times["recognizers"] <= times["total"] <= ms(response.timings.total) + 0.01
    assert {"queue", "fusion"} <= times.keys()
