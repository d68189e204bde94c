"""Answers that the gateway has kept: when they are used, when not, and what they say of themselves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from prometheus_client import REGISTRY
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.config import BackendConfig, CacheConfig
from services.runtime.errors import DependencyUnavailable
from tests.support.offices import known
from tests.support.servers import (
    LEFT,
    Scripted,
    Stub,
    face,
    gateway,
    leaf,
    outcomes,
    picture,
    request,
    stub,
)


def model(version: str) -> pb.Model:
    return pb.Model(name="scripted", version=version)


@asynccontextmanager
async def caching(*recognizers: Scripted, ttl: float = 300, **settings: object) -> AsyncIterator[Stub]:
    """Yield a client of a gateway that keeps answers, once it knows the recognizers' models."""
    async with AsyncExitStack() as stack:
        targets = {one.name: await stack.enter_async_context(leaf(one)) for one in recognizers}
        backends = {name: BackendConfig(target=target, timeout=300) for name, target in targets.items()}
        address = await stack.enter_async_context(gateway(backends, cache=CacheConfig(ttl=ttl), **settings))
        client = await stack.enter_async_context(stub(address))
        await known(client)
        yield client


async def recall(client: Stub, **fields: object) -> list[bool]:
    """Ask; return which results were there already."""
    response = await client.RecognizeImage(request(**fields), timeout=60)
    return [one.from_cache for one in response.results]


def asked(recognizer: str, outcome: str) -> float:
    labels = {"recognizer": recognizer, "outcome": outcome}
    return REGISTRY.get_sample_value("marquee_cache_requests_total", labels) or 0


async def test_an_equal_question_is_not_asked_again() -> None:
    """The second answer is the first one, free, without its times, and says what it saved; the log line says so."""
    found = pb.RecognizerResult(faces=[face(LEFT, "Ada")], model=model("1"), cost_micro_usd=1000)
    svm = Scripted("svm", result=found)
    async with caching(svm) as client:
        first = await client.RecognizeImage(request())
        with capture_logs(processors=[merge_contextvars]) as log:
            second = await client.RecognizeImage(request(request_id="second"))
    (kept,) = second.results
    assert (kept.from_cache, kept.cost_micro_usd, kept.model, kept.faces) == (True, 0, model("1"), found.faces)
    assert not (kept.timings.HasField("recognizer"))
    assert not (kept.timings.HasField("network"))
    assert (second.request_id, second.cost_micro_usd, second.saved_micro_usd) == ("second", 0, 1000)
    assert (first.cost_micro_usd, first.saved_micro_usd, len(svm.calls)) == (1000, 0, 1)
    assert (second.verdicts, second.image) == (first.verdicts, first.image)
    assert [line["from_cache"] for line in log if line.get("method") == "RecognizeImage"] == [["svm"]]


async def test_a_stream_has_kept_results_first() -> None:
    """What was kept comes before what is asked for, which may take long."""
    svm, slow = Scripted("svm"), Scripted("slow", error=DependencyUnavailable("away"))
    async with caching(slow, svm) as client:
        await client.RecognizeImage(request())
        slow.error, slow.seconds = None, 0.3
        messages = [message async for message in client.StreamRecognizeImage(request())]
    results = [one for message in messages for one in message.results]
    assert [(one.recognizer, one.from_cache) for one in results] == [("svm", True), ("slow", False)]


async def test_counts_hits_and_savings_but_no_call() -> None:
    """A hit is counted as one, with what it saved; it is no result of a call, and has no duration."""
    svm = Scripted("thrifty", result=pb.RecognizerResult(cost_micro_usd=500))
    async with caching(svm) as client:
        for _ in range(3):
            await client.RecognizeImage(request())
        await client.RecognizeImage(request(no_cache=True))
    assert [asked("thrifty", one) for one in ("miss", "hit", "bypassed", "shared")] == [1, 2, 1, 0]
    ok = {"recognizer": "thrifty", "outcome": "ok"}
    assert REGISTRY.get_sample_value("marquee_backend_duration_seconds_count", ok) == 2
    assert REGISTRY.get_sample_value("marquee_backend_results_total", ok | {"reason": "", "fault": ""}) == 2
    saved = REGISTRY.get_sample_value("marquee_cache_saved_dollars_total", {"recognizer": "thrifty"})
    assert saved == pytest.approx(0.001)


BYPASSES = {
    "no_cache": {"no_cache": True},
    "embeddings": {"include_embeddings": True},
    "a search": {"features": [pb.FEATURE_FACE_SEARCH]},
}


@pytest.mark.parametrize("fields", BYPASSES.values(), ids=BYPASSES)
async def test_some_questions_are_asked_each_time(fields: dict[str, object]) -> None:
    """no_cache neither reads nor writes; embeddings and what collections hold are never kept."""
    svm = Scripted("svm", features=(pb.FEATURE_CELEBRITIES, pb.FEATURE_FACE_SEARCH))
    svm.listed.gives_embeddings = True
    async with caching(svm) as client:
        assert [await recall(client, **fields) for _ in range(2)] == [[False], [False]]
        assert await recall(client) == [False]
    assert len(svm.calls) == 3


async def test_answers_without_embeddings_are_kept() -> None:
    """Whoever asks for embeddings pays a recognizer that gives none only once; who gives them is asked each time."""
    svm, paid = Scripted("svm"), Scripted("paid")
    svm.listed.gives_embeddings = True
    async with caching(svm, paid) as client:
        assert [await recall(client, include_embeddings=True) for _ in range(2)] == [[False, False], [False, True]]
        assert await recall(client) == [False, True]
    assert [call.include_embeddings for call in paid.calls] == [False]
    assert [call.include_embeddings for call in svm.calls] == [True, True, False]


async def test_no_cache_reads_nothing() -> None:
    """A caller who sends no_cache gets an answer of now, although there is one of before."""
    svm = Scripted("svm")
    async with caching(svm) as client:
        assert [await recall(client), await recall(client, no_cache=True)] == [[False], [False]]


UNUSABLE = {
    "an error": {"error": DependencyUnavailable("away")},
    "a part": {"result": pb.RecognizerResult(feature_errors=[pb.FeatureError(feature=pb.FEATURE_LABELS)])},
    "another model's": {"result": pb.RecognizerResult(model=model("0"))},
}


@pytest.mark.parametrize("script", UNUSABLE.values(), ids=UNUSABLE)
async def test_keeps_whole_and_current_answers_only(script: dict[str, object]) -> None:
    """ERROR and PARTIAL are never kept, nor what a model answered that is not in use any more."""
    bad, good = Scripted("bad", **script), Scripted("good")
    async with caching(bad, good) as client:
        await recall(client)
        bad.error = None
        await asyncio.sleep(0.6)  # in which the models are told again
        assert await recall(client) == [False, True]


async def test_keeps_no_late_answer() -> None:
    """A TIMEOUT is not kept: the next caller asks again."""
    svm, other = Scripted("svm", seconds=60), Scripted("other")
    async with caching(svm, other) as client:
        response = await client.RecognizeImage(request(), timeout=0.5)
        assert outcomes(response) == {"svm": "TIMEOUT", "other": "OK"}
        svm.seconds = 0
        assert await recall(client) == [False, True]


async def test_a_new_model_answers_anew() -> None:
    """Once a recognizer tells another version, in a list or in an answer, answers of the one before are not used."""
    svm = Scripted("svm", result=pb.RecognizerResult(model=model("1")))
    async with caching(svm) as client:
        assert [await recall(client), await recall(client)] == [[False], [True]]
        svm.result.model.version = svm.listed.models[0].version = "2"
        async with asyncio.timeout(30):
            while await recall(client) == [True]:  # noqa: ASYNC110 - each round is a call
                await asyncio.sleep(0.05)
        assert await recall(client) == [True]
    assert len(svm.calls) == 2


async def test_an_answer_tells_a_new_model() -> None:
    """A new version in an answer to one question outdates what was kept for others, before it is listed."""
    svm = Scripted("svm", result=pb.RecognizerResult(model=model("1")))
    other = pb.Image(content=picture((9, 9)))
    async with caching(svm) as client:
        await recall(client)
        svm.listed.ClearField("models")  # it does not say so itself
        svm.result.model.version = "2"
        await client.RecognizeImage(pb.RecognizeImageRequest(image=other))
        assert await recall(client) == [False]


async def test_keeps_for_the_ttl_only() -> None:
    """An answer that is older than the operator wants is asked for again."""
    svm = Scripted("svm")
    async with caching(svm, ttl=0.2) as client:
        assert await recall(client) == [False]
        await asyncio.sleep(0.25)
        assert await recall(client) == [False]


async def test_an_inner_gateway_keeps_for_both() -> None:
    """What an inner gateway had already is not kept a second time: it would be named for longer than the TTL."""
    svm = Scripted("svm", result=pb.RecognizerResult(cost_micro_usd=700))
    keep = CacheConfig()
    async with (
        leaf(svm) as target,
        gateway({"svm": target}, cache=keep) as inner,
        gateway({"region": inner}, cache=keep) as outer,
        stub(inner) as near,
        stub(outer) as far,
    ):
        await known(near)
        await known(far)
        await near.RecognizeImage(request())
        before = asked("region", "miss")
        responses = [await far.RecognizeImage(request()) for _ in range(2)]
    assert [one.saved_micro_usd for one in responses] == [700, 700]
    assert [one.results[0].from_cache for one in responses] == [True, True]
    assert [one.HasField("timings") for one in responses] == [True, True]
    assert len(svm.calls) == 1
    assert asked("region", "miss") == before + 2


async def test_what_was_kept_may_go_before_it_is_needed() -> None:
    """An answer that is kept when a cascade begins, and no more when its turn comes, is asked for."""
    first, second = Scripted("first", features=(pb.FEATURE_LABELS,)), Scripted("second")
    async with caching(first, second, ttl=0.5) as client:
        await recall(client, recognizers=["second"])
        first.seconds = 0.6
        response = await client.RecognizeImage(request(policy=pb.POLICY_CASCADE), timeout=60)
    assert outcomes(response) == {"first": "OK", "second": "OK"}
    assert not response.results[1].from_cache
    assert len(second.calls) == 2
