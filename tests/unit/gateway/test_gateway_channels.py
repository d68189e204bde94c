"""The gateway's channels: recognizers that come and go, retries, lists and counters."""

import asyncio

import grpc
import pytest
from google.rpc import code_pb2, status_pb2
from prometheus_client import REGISTRY

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.config import BackendConfig
from services.runtime import status
from services.runtime.errors import BudgetExhausted, DependencyUnavailable, NotReady, ObjectForbidden, Throttled
from services.runtime.status import StatusError
from tests.support.processes import free_port
from tests.support.servers import (
    Scripted,
    Stub,
    code_and_reason,
    gateway_client,
    leaf,
    nobody,
    outcomes,
    refusal,
    request,
)

STOPPING = status.StatusError(status_pb2.Status(code=code_pb2.CANCELLED, message="CANCELLED"))
"""gRPC's answer to a call that reaches a server while it stops."""


async def test_a_recognizer_that_comes_back_is_used_again() -> None:
    """A recognizer that was down is used again once it is back, without a restart of the gateway."""
    port = free_port()
    async with gateway_client(Scripted("keras"), svm=f"127.0.0.1:{port}") as client:
        async with leaf(Scripted("svm"), port):
            await _used(client)
        await asyncio.sleep(0.5)
        assert outcomes(await client.RecognizeImage(request(), timeout=60))["svm"] == "ERROR"
        async with leaf(Scripted("svm"), port):
            await _used(client)


async def test_a_new_connection_does_not_wait_for_an_old_one() -> None:
    """A gateway that has just started reaches a recognizer that is back, though another pauses after a failure."""
    svm = f"127.0.0.1:{free_port()}"
    async with gateway_client(svm=svm) as before:
        assert code_and_reason(await refusal(before, request())) == ("UNAVAILABLE", "RECOGNIZER_UNAVAILABLE")
        async with leaf(Scripted("svm"), int(svm.rpartition(":")[2])), gateway_client(svm=svm) as client:
            assert outcomes(await client.RecognizeImage(request(), timeout=60)) == {"svm": "OK"}


async def _used(client: Stub) -> None:
    """Call until the recognizer `svm` answers."""
    async with asyncio.timeout(30):
        while outcomes(await client.RecognizeImage(request(), timeout=60))["svm"] != "OK":  # noqa: ASYNC110 - each round is a call
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("priced", "error", "calls"),
    [
        (False, DependencyUnavailable("down"), 2),
        (True, DependencyUnavailable("down"), 1),
        (False, NotReady("loading"), 2),
        (False, STOPPING, 2),
        (True, STOPPING, 1),
        (False, Throttled("slow"), 1),
        (False, KeyError("bug"), 1),
    ],
    ids=["unavailable", "unavailable and priced", "loading", "stopping", "stopping and priced", "throttled", "crashed"],
)
async def test_retries_what_is_unavailable_and_free(priced: bool, error: Exception, calls: int) -> None:  # noqa: FBT001
    """A call to an UNAVAILABLE or stopping server is retried once unless it is priced; other errors are not retried."""
    svm = Scripted("svm", error=error)
    async with leaf(svm) as target, gateway_client(svm=BackendConfig(target=target, priced=priced)) as client:
        await refusal(client, request())
    assert len(svm.calls) == calls


async def test_a_server_that_stops_is_unavailable() -> None:
    """A call that reaches a stopping server gets UNAVAILABLE, not CANCELLED, as the caller did not cancel it."""
    svm = Scripted("svm", error=STOPPING)
    async with leaf(svm) as target, gateway_client(svm=BackendConfig(target=target, priced=True)) as client:
        assert code_and_reason(await refusal(client, request())) == ("UNAVAILABLE", "RECOGNIZER_UNAVAILABLE")


async def test_lists_recognizers_that_do_not_answer() -> None:
    """ListRecognizers lists a recognizer that does not answer as UNAVAILABLE, with the reason, and does not fail."""
    async with gateway_client(Scripted("svm"), keras=nobody()) as client:
        response = await client.ListRecognizers(pb.ListRecognizersRequest(), timeout=60)
    assert [(one.name, one.state) for one in response.recognizers] == [
        ("svm", pb.RECOGNIZER_STATE_READY),
        ("keras", pb.RECOGNIZER_STATE_UNAVAILABLE),
    ]
    assert status.code_of(response.recognizers[1].status) is grpc.StatusCode.UNAVAILABLE


async def test_lists_models_and_features() -> None:
    """ListRecognizers passes on each recognizer's models and features."""
    async with gateway_client(Scripted("svm")) as client:
        (one,) = (await client.ListRecognizers(pb.ListRecognizersRequest())).recognizers
    assert [model.name for model in one.models] == ["scripted"]
    assert list(one.features) == [pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS]


async def test_counts_results_by_outcome() -> None:
    """The gateway counts and times each recognizer's results by outcome, under its configured name."""
    labels = {"recognizer": "counted", "outcome": "ok"}
    async with gateway_client(Scripted("counted")) as client:
        await client.RecognizeImage(request())
    blameless = {"reason": "", "fault": ""}
    assert REGISTRY.get_sample_value("marquee_backend_results_total", labels | blameless) == 1
    assert REGISTRY.get_sample_value("marquee_backend_duration_seconds_count", labels) == 1


@pytest.mark.parametrize(
    ("error", "reason", "fault"),
    [
        (ObjectForbidden("no"), "OBJECT_FORBIDDEN", "caller"),
        (BudgetExhausted("no"), "BUDGET_EXHAUSTED", "planned"),
        (KeyError(), "INTERNAL", "server"),
        (StatusError(status.make(grpc.StatusCode.DATA_LOSS, "MADE UP", "no")), "other", "server"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_counts_failures_by_reason_and_fault(error: Exception, reason: str, fault: str) -> None:
    """A failed result counts by reason, if that is one of Marquee's own, and by fault; the call by fault."""
    labels = {"recognizer": "blamed", "outcome": "error", "reason": reason, "fault": fault}
    calls = {"grpc_method": "RecognizeImage", "fault": fault}
    before = REGISTRY.get_sample_value("marquee_failed_calls_total", calls) or 0
    async with gateway_client(Scripted("blamed", error=error)) as client:
        with pytest.raises(grpc.aio.AioRpcError):
            await client.RecognizeImage(request())
    assert REGISTRY.get_sample_value("marquee_backend_results_total", labels) == 1
    counted_by_both = 2  # the recognizer is in this process
    assert REGISTRY.get_sample_value("marquee_failed_calls_total", calls) == before + counted_by_both


async def test_counts_verdicts_by_state() -> None:
    """The gateway counts verdicts by state."""
    labels = {"state": "no_face"}
    before = REGISTRY.get_sample_value("marquee_verdicts_total", labels) or 0
    async with gateway_client(Scripted("svm")) as client:
        await client.RecognizeImage(request())
    assert REGISTRY.get_sample_value("marquee_verdicts_total", labels) == before + 1
