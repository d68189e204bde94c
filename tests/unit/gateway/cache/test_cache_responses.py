"""Whole responses that the gateway has kept: what an equal call gets once all answers to it were kept."""

import asyncio

import pytest
from prometheus_client import REGISTRY
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from marquee.v1 import recognizer_pb2 as pb
from tests.support.servers import LEFT, RIGHT, Scripted, Stub, face, request
from tests.unit.gateway.cache.test_cache_hits import asked, caching

LABELS = [pb.Label(name="Boat", score=0.75), pb.Label(name="Sea", score=0.5)]


def two() -> tuple[Scripted, Scripted]:
    """Return recognizers who see the same person, one of them for money."""
    svm = pb.RecognizerResult(faces=[face(LEFT, "Ada"), face(RIGHT, "Bob")], labels=LABELS)
    aws = pb.RecognizerResult(faces=[face(LEFT, "Ada")], cost_micro_usd=1000)
    return Scripted("svm", result=svm), Scripted("aws", result=aws)


async def equal_calls(client: Stub, number: int, **fields: object) -> list[pb.RecognizeImageResponse]:
    """Make the call so often; return the responses without what is true of one call only."""
    responses = [await client.RecognizeImage(request(**fields)) for _ in range(number)]
    for response in responses:
        response.ClearField("timings")
        response.ClearField("request_id")
        for result in response.results:
            result.ClearField("timings")
    return responses


async def test_a_kept_response_is_as_one_of_kept_answers() -> None:
    """The response to the third of equal calls is that to the second, which was made of the recognizers' answers."""
    svm, aws = two()
    async with caching(svm, aws) as client:
        _, second, third, fourth = await equal_calls(client, 4)
    assert second == third == fourth
    assert [one.from_cache for one in third.results] == [True, True]
    assert (third.cost_micro_usd, third.saved_micro_usd) == (0, 1000)
    assert (len(svm.calls), len(aws.calls)) == (1, 1)


async def test_a_kept_response_tells_of_its_own_call() -> None:
    """Its request ID and its times are those of the call that gets it."""
    async with caching(*two()) as client:
        await equal_calls(client, 2)
        response = await client.RecognizeImage(request(request_id="third"))
    assert response.request_id == "third"
    assert response.timings.HasField("total")
    assert response.timings.HasField("queue")
    assert not response.timings.HasField("recognizers")


async def test_a_kept_response_is_counted_and_logged() -> None:
    """A hit of each recognizer, what it saved, the verdicts and the log line are those of any other response."""
    async with caching(*two()) as client:
        await equal_calls(client, 1)
        lines, counts = [], []
        for _ in range(2):
            before = counters()
            with capture_logs(processors=[merge_contextvars]) as log:
                await equal_calls(client, 1)
            counts.append([now - then for now, then in zip(counters(), before, strict=True)])
            lines += [line for line in log if line.get("method") == "RecognizeImage" and "from_cache" in line]
    assert counts == [[1, 1, pytest.approx(0.001), 2, 1]] * 2
    own = ("request_id", "times", "ms", "peer")
    one, other = ({key: line[key] for key in line if key not in own} for line in lines)
    assert one == other


def counters() -> list[float]:
    """Return hits of both recognizers, dollars saved, people identified, and calls of the policy ALL."""
    rest = (
        ("marquee_cache_saved_dollars_total", {"recognizer": "aws"}),
        ("marquee_verdicts_total", {"state": "identified"}),
        ("marquee_policy_calls_total", {"policy": "all"}),
    )
    values = [REGISTRY.get_sample_value(name, labels) or 0 for name, labels in rest]
    return [asked("svm", "hit"), asked("aws", "hit"), *values]


OTHERS = {
    "fewer labels": {"max_labels": 1},
    "a min_score": {"min_score": 0.6},
    "a min_score of one": {"recognizer_options": {"svm": pb.RecognizerOptions(min_score=0.9)}},
    "one recognizer": {"recognizers": ["svm"]},
    "required": {"required": ["aws"]},
    "a cascade": {"policy": pb.POLICY_CASCADE},
    "other features": {"features": [pb.FEATURE_LABELS]},
}


@pytest.mark.parametrize("fields", OTHERS.values(), ids=OTHERS)
async def test_another_call_gets_its_own_response(fields: dict[str, object]) -> None:
    """Whatever else a call says makes its response another one, which is what it is without a cache."""
    async with caching(*two()) as client:
        await equal_calls(client, 3)
        *_, kept = await equal_calls(client, 3, **fields)
        (fresh,) = await equal_calls(client, 1, no_cache=True, **fields)
    for response in (kept, fresh):
        response.ClearField("cost_micro_usd")
        response.ClearField("saved_micro_usd")
        for result in response.results:
            result.ClearField("from_cache")
            result.ClearField("cost_micro_usd")
    assert kept == fresh


async def test_a_kept_response_holds_for_its_models_only() -> None:
    """Once one of the recognizers tells another version, all of it is made anew."""
    svm, aws = two()
    svm.result.model.CopyFrom(pb.Model(name="scripted", version="1"))
    async with caching(svm, aws) as client:
        await equal_calls(client, 3)
        svm.result.model.version = svm.listed.models[0].version = "2"
        async with asyncio.timeout(30):
            while len(svm.calls) < 2:
                (response,) = await equal_calls(client, 1)
                await asyncio.sleep(0.05)
    assert [one.from_cache for one in response.results] == [False, True]
    assert response.results[0].model.version == "2"
