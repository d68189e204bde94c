"""Calls that several callers wait for: one is made, each of them leaves at its own time, and one is told its cost."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.config import BackendConfig, CacheConfig
from tests.support.doors import bearer, line
from tests.support.offices import known
from tests.support.policies import CELEBRITIES, PRICE, asking, knowing
from tests.support.servers import Scripted, gateway, leaf, outcomes, request, stub, until
from tests.unit.gateway.cache.test_cache_hits import caching

GATEWAY = line("of-gateway", name="west", scopes="recognize,relay")
CALLERS = line("of-ada", name="ada", usd="1.5") + line("of-bob", name="bob", usd="2") + line("of-root", name="root")


def shared(recognizer: str) -> float:
    labels = {"recognizer": recognizer, "outcome": "shared"}
    return REGISTRY.get_sample_value("marquee_cache_requests_total", labels) or 0


async def test_equal_calls_make_one_call() -> None:
    """Sixty equal calls at once make one call of each recognizer; one of them is told its cost, all its answer."""
    go = asyncio.Event()
    found = pb.RecognizerResult(labels=[pb.Label(name="Sea", score=0.9)], cost_micro_usd=1000)
    crowd = [Scripted(name, result=found, until=go.is_set) for name in ("crowded", "full")]
    async with caching(*crowd) as client:
        calls = [client.RecognizeImage(request(request_id=str(number)), timeout=300) for number in range(60)]
        await until(lambda: shared("crowded") == shared("full") == 59)
        go.set()
        responses = await asyncio.gather(*calls)
    assert [len(one.calls) for one in crowd] == [1, 1]
    assert [one.request_id for one in responses] == [str(number) for number in range(60)]
    assert {label.name for one in responses for label in one.results[0].labels} == {"Sea"}
    assert sum(one.cost_micro_usd for one in responses) == 2000
    assert sum(one.saved_micro_usd for one in responses) == 59 * 2000
    assert sum(one.results[0].from_cache for one in responses) == 59


async def test_each_leaves_at_its_own_time() -> None:
    """One that joined and has less time gets TIMEOUT; one that is cancelled leaves; the call goes on for the others."""
    go = asyncio.Event()
    svm, other = Scripted("svm", until=go.is_set), Scripted("other")
    async with caching(svm, other) as client:
        first = client.RecognizeImage(request(), timeout=60)
        await until(lambda: svm.calls)
        before = shared("svm")
        patient = client.RecognizeImage(request(), timeout=59)
        await until(lambda: shared("svm") == before + 1)
        late = await client.RecognizeImage(request(), timeout=0.5)
        first.cancel()
        await asyncio.sleep(0.1)
        go.set()
        assert outcomes(late) == {"svm": "TIMEOUT", "other": "OK"}
        assert outcomes(await patient) == {"svm": "OK", "other": "OK"}
    assert (len(svm.calls), svm.cancelled) == (1, 0)


async def test_nobody_is_cut_short_by_another() -> None:
    """A caller with more time than the call under way begins one of their own."""
    go = asyncio.Event()
    svm, other = Scripted("svm", until=go.is_set), Scripted("other")
    async with caching(svm, other) as client:
        hasty = client.RecognizeImage(request(), timeout=1)
        await until(lambda: svm.calls)
        patient = client.RecognizeImage(request(), timeout=60)
        await until(lambda: len(svm.calls) == 2)
        assert outcomes(await hasty)["svm"] == "TIMEOUT"
        go.set()
        assert outcomes(await patient)["svm"] == "OK"


async def test_a_call_that_nobody_waits_for_ends() -> None:
    """When the last of those who wait has left, the recognizer's work is cancelled."""
    svm = Scripted("svm", seconds=60)
    async with caching(svm) as client:
        calls = [client.RecognizeImage(request(), timeout=60)]
        await until(lambda: svm.calls)
        before = shared("svm")
        calls.append(client.RecognizeImage(request(), timeout=60))
        await until(lambda: shared("svm") == before + 1)
        for call in calls:
            call.cancel()
        await until(lambda: svm.cancelled == 1)


async def test_what_may_have_been_billed_is_kept_for_the_next() -> None:
    """A call that costs money goes on when its caller leaves, and its answer is kept: it is paid for."""
    go = asyncio.Event()
    aws = Scripted("aws", result=pb.RecognizerResult(cost_micro_usd=1000), until=go.is_set)
    aws.listed.prices.add(feature=pb.FEATURE_CELEBRITIES, micro_usd=1000)
    async with caching(aws) as client:
        call = client.RecognizeImage(request(), timeout=60)
        await until(lambda: aws.calls)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        go.set()
        response = await client.RecognizeImage(request(), timeout=60)
    assert (len(aws.calls), aws.cancelled) == (1, 0)
    assert (outcomes(response), response.cost_micro_usd + response.saved_micro_usd) == ({"aws": "OK"}, 1000)


async def test_a_price_is_told_once() -> None:
    """Of all who have waited for a call that was late and may be billed, one is told its price."""
    aws, svm = knowing("aws", price=PRICE, seconds=600), Scripted("svm")
    async with caching(aws, svm) as client:
        before = shared("aws")
        calls = [client.RecognizeImage(request(features=CELEBRITIES), timeout=3)]
        await until(lambda: aws.calls)
        calls += [client.RecognizeImage(request(features=CELEBRITIES), timeout=seconds) for seconds in (2, 2.9)]
        await until(lambda: shared("aws") == before + 2)
        responses = await asyncio.gather(*calls)
    assert [outcomes(one)["aws"] for one in responses] == ["TIMEOUT"] * 3
    assert (len(aws.calls), sum(one.cost_micro_usd for one in responses)) == (1, PRICE)


async def test_a_price_is_told_to_one_of_those_who_cancel() -> None:
    """When a sure answer ends the wait of several for a call that costs money, one of them is told its price."""
    go = asyncio.Event()
    aws, svm = knowing("aws", price=PRICE, seconds=600), knowing("svm", until=go.is_set)
    async with caching(aws, svm) as client:
        before = shared("aws")
        calls = [client.RecognizeImage(asking("FIRST_CONFIDENT", request_id=name), timeout=60) for name in "abc"]
        await until(lambda: shared("aws") == before + 2)
        go.set()
        responses = await asyncio.gather(*calls)
    assert [outcomes(one)["aws"] for one in responses] == ["SKIPPED"] * 3
    assert sorted(one.cost_micro_usd for one in responses) == [0, 0, PRICE]


async def test_a_failure_is_everybodys() -> None:
    """When the call fails, all who wait are told, and the next caller asks again."""
    go = asyncio.Event()
    svm, other = Scripted("svm", until=go.is_set, error=KeyError("bug")), Scripted("other")
    async with caching(svm, other) as client:
        before = shared("svm")
        calls = [client.RecognizeImage(request(), timeout=60) for _ in range(3)]
        await until(lambda: shared("svm") == before + 2)
        go.set()
        responses = await asyncio.gather(*calls)
        svm.error = None
        after = await client.RecognizeImage(request())
    assert [outcomes(one)["svm"] for one in responses] == ["ERROR"] * 3
    assert not any(one.results[0].from_cache for one in responses)
    assert outcomes(after)["svm"] == "OK"


async def test_callers_with_a_limit_pay_their_own_calls(tmp_path: Path) -> None:
    """A caller with a limit a day shares no call that costs money with others; what was kept is free for all."""
    for name, text in (("gateways", GATEWAY), ("callers", CALLERS), ("token", "of-gateway")):
        (tmp_path / name).write_text(text)
    go = asyncio.Event()
    aws = Scripted("aws", result=pb.RecognizerResult(cost_micro_usd=1000), until=go.is_set)
    async with leaf(aws, callers=tmp_path / "gateways") as target:
        backend = BackendConfig(target=target, priced=True, token_file=tmp_path / "token")
        ways = gateway({"aws": backend}, cache=CacheConfig(), callers=tmp_path / "callers")
        async with ways as address, stub(address) as client:
            await known(client, *bearer("of-root"))
            calls = []
            for name in ("of-ada", "of-root", "of-bob"):
                calls.append(client.RecognizeImage(request(), metadata=bearer(name), timeout=60))
                await until(lambda: len(aws.calls) == len(calls))
            go.set()
            responses = await asyncio.gather(*calls)
            again = await client.RecognizeImage(request(), metadata=bearer("of-ada"))
    assert [one.name for one in aws.callers] == ["ada", "root", "bob"]
    assert [one.cost_micro_usd for one in (*responses, again)] == [1000, 1000, 1000, 0]
