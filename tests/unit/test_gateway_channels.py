"""The gateway's channels: recognizers that come and go, retries, and what is listed."""

import asyncio
import time

import grpc
import pytest
from prometheus_client import REGISTRY

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.config import BackendConfig
from services.runtime import status
from services.runtime.errors import DependencyUnavailable, NotReady, Throttled
from tests.processes import free_port
from tests.unit.gateways import gateway
from tests.unit.leaves import Scripted, Stub, leaf, request, stub


async def outcome(client: Stub) -> pb.Outcome.ValueType:
    """How `svm` did in one call."""
    answer = await client.RecognizeImage(request(), timeout=5)
    return next(one.outcome for one in answer.results if one.recognizer == "svm")


async def test_a_recognizer_that_comes_back_is_used_again() -> None:
    """A recognizer that was away is used within 3 s of its return, without a restart of the gateway."""
    port = free_port()
    async with leaf(Scripted("keras")) as other:
        async with gateway({"svm": f"127.0.0.1:{port}", "keras": other}) as address, stub(address) as client:
            async with leaf(Scripted("svm"), port):
                assert await outcome(client) == pb.OUTCOME_OK
            assert await outcome(client) == pb.OUTCOME_ERROR
            await asyncio.sleep(0.5)
            assert await outcome(client) == pb.OUTCOME_ERROR
            async with leaf(Scripted("svm"), port):
                back = time.monotonic()
                while await outcome(client) != pb.OUTCOME_OK:
                    assert time.monotonic() - back < 3
                    await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("priced", "error", "calls"),
    [
        (False, DependencyUnavailable("down"), 2),
        (True, DependencyUnavailable("down"), 1),
        (False, NotReady("loading"), 2),
        (False, Throttled("slow"), 1),
        (False, KeyError("bug"), 1),
    ],
    ids=["unavailable", "unavailable and priced", "loading", "throttled", "crashed"],
)
async def test_retries_what_is_unavailable_and_free(priced: bool, error: Exception, calls: int) -> None:  # noqa: FBT001
    """UNAVAILABLE is tried once more, other errors are not, and a call that costs money never."""
    svm = Scripted("svm", error=error)
    async with leaf(svm) as target:
        backend = BackendConfig(target=target, priced=priced)
        async with gateway({"svm": backend}) as address, stub(address) as client:
            with pytest.raises(grpc.aio.AioRpcError):
                await client.RecognizeImage(request(), timeout=5)
    assert len(svm.asked) == calls


async def test_lists_everybody_also_who_does_not_answer() -> None:
    """ListRecognizers never fails for a recognizer's sake: one that is away is listed as UNAVAILABLE, and why."""
    async with leaf(Scripted("svm")) as svm:
        backends = {"keras": f"127.0.0.1:{free_port()}", "svm": svm}
        async with gateway(backends) as address, stub(address) as client:
            answer = await client.ListRecognizers(pb.ListRecognizersRequest(), timeout=5)
    assert [(one.name, one.state) for one in answer.recognizers] == [
        ("keras", pb.RECOGNIZER_STATE_UNAVAILABLE),
        ("svm", pb.RECOGNIZER_STATE_READY),
    ]
    assert status.code_of(answer.recognizers[0].status) is grpc.StatusCode.UNAVAILABLE


async def test_lists_models_and_features() -> None:
    """What a recognizer tells of itself is passed on."""
    async with leaf(Scripted("svm")) as svm, gateway({"svm": svm}) as address, stub(address) as client:
        (one,) = (await client.ListRecognizers(pb.ListRecognizersRequest())).recognizers
    assert [model.name for model in one.models] == ["scripted"]
    assert list(one.features) == [pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS]


async def test_counts_results_by_outcome() -> None:
    """Each recognizer's results are counted and timed by outcome, under the configured name."""
    labels = {"recognizer": "counted", "outcome": "ok"}
    async with leaf(Scripted("svm")) as svm, gateway({"counted": svm}) as address, stub(address) as client:
        await client.RecognizeImage(request())
    assert REGISTRY.get_sample_value("marquee_backend_results_total", labels) == 1
    assert REGISTRY.get_sample_value("marquee_backend_duration_seconds_count", labels) == 1


async def test_counts_verdicts_by_state() -> None:
    """Verdicts are counted by state."""
    labels = {"state": "no_face"}
    before = REGISTRY.get_sample_value("marquee_verdicts_total", labels) or 0
    async with leaf(Scripted("svm")) as svm, gateway({"svm": svm}) as address, stub(address) as client:
        await client.RecognizeImage(request())
    assert REGISTRY.get_sample_value("marquee_verdicts_total", labels) == before + 1
