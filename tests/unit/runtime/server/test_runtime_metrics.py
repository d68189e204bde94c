"""The metrics that every server exports to Prometheus."""

import asyncio
import urllib.request
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from marquee.v1 import recognizer_pb2 as pb
from marquee.v1 import recognizer_pb2_grpc
from services.runtime.errors import BudgetExhausted, ObjectNotFound, Overloaded
from services.runtime.server import metrics
from services.runtime.server.server import RECOGNIZER_SERVICE, Service
from services.runtime.settings import Settings
from tests.support.processes import free_port
from tests.support.servers import Scripted, leaf, request, served, stub, until

RECOGNIZER = "marquee.v1.RecognizerService"


class Counted:
    """The growth of a series since this object was made."""

    def __init__(self, name: str, **labels: str) -> None:
        self._read: Callable[[], float] = lambda: REGISTRY.get_sample_value(name, labels) or 0
        self._before = self._read()

    def __call__(self) -> float:
        return self._read() - self._before


def handled(code: str, method: str = "RecognizeImage", kind: str = "unary", service: str = RECOGNIZER) -> Counted:
    return Counted(
        "grpc_server_handled_total", grpc_type=kind, grpc_service=service, grpc_method=method, grpc_code=code
    )


def started(method: str = "RecognizeImage", kind: str = "unary", service: str = RECOGNIZER) -> Counted:
    return Counted("grpc_server_started_total", grpc_type=kind, grpc_service=service, grpc_method=method)


async def test_counts_a_call_when_it_begins_and_when_it_ends() -> None:
    """A running call is counted as started; once it ends, it is also counted as handled."""
    starts, ends = started(), handled("OK")
    recognizer = Scripted(seconds=0.2)
    async with leaf(recognizer) as address, stub(address) as client:
        call = client.RecognizeImage(request())
        await until(lambda: recognizer.calls)
        assert (starts(), ends()) == (1, 0)
        await call
        assert (starts(), ends()) == (1, 1)


async def test_measures_the_time() -> None:
    """The histogram has a call's duration in seconds."""
    labels = {"grpc_type": "unary", "grpc_service": RECOGNIZER, "grpc_method": "RecognizeImage"}
    slow = Counted("grpc_server_handling_seconds_sum", **labels)
    async with leaf(Scripted(seconds=0.1)) as address, stub(address) as client:
        await client.RecognizeImage(request())
    assert 0.1 <= slow() < 20


@pytest.mark.parametrize(
    ("error", "code", "fault"),
    [
        (ObjectNotFound("gone"), "NotFound", "caller"),
        (BudgetExhausted("spent"), "ResourceExhausted", "planned"),
        (Overloaded("full"), "ResourceExhausted", "server"),
        (KeyError(), "Internal", "server"),
    ],
    ids=["NotFound", "BudgetExhausted", "Overloaded", "Internal"],
)
async def test_counts_errors_by_code_and_fault(error: Exception, code: str, fault: str) -> None:
    """A failed call is counted under its code, in Go's spelling, and by whose fault it is."""
    failed, faults = handled(code), Counted("marquee_failed_calls_total", grpc_method="RecognizeImage", fault=fault)
    async with leaf(Scripted(error=error)) as address, stub(address) as client:
        with pytest.raises(grpc.aio.AioRpcError):
            await client.RecognizeImage(request())
    assert (failed(), faults()) == (1, 1)


async def test_counts_cancelled_calls() -> None:
    """A call that its caller cancels is counted as Canceled, and as its caller's doing."""
    cancelled = handled("Canceled")
    faults = Counted("marquee_failed_calls_total", grpc_method="RecognizeImage", fault="caller")
    recognizer = Scripted(seconds=300)
    async with leaf(recognizer) as address, stub(address) as client:
        call = client.RecognizeImage(request())
        await until(lambda: recognizer.calls)
        call.cancel()
        await until(lambda: (cancelled(), faults()) == (1, 1))


class Heedless(Service, recognizer_pb2_grpc.RecognizerServiceServicer):
    """A service that does not enforce deadlines itself."""

    def register(self, server: grpc.aio.Server) -> tuple[str]:
        recognizer_pb2_grpc.add_RecognizerServiceServicer_to_server(self, server)
        return (RECOGNIZER_SERVICE,)

    async def load(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def RecognizeImage(self, request: object, context: object) -> None:  # noqa: N802 - the contract's name
        del request, context
        await asyncio.sleep(300)


async def test_counts_calls_past_their_deadline() -> None:
    """A call past its deadline is counted as DeadlineExceeded, not Canceled, although gRPC cancels it."""
    late = handled("DeadlineExceeded")
    async with served(Heedless()) as address, stub(address) as client:
        with pytest.raises(grpc.aio.AioRpcError):
            await client.RecognizeImage(request(), timeout=3)
        await until(lambda: late() == 1)


@pytest.mark.parametrize(("seconds", "fault"), [(0.05, "caller"), (0.5, "server")])
async def test_hasty_callers_are_late_by_their_own_fault(seconds: float, fault: str) -> None:
    """Who gives a call less than a tenth of a second is not kept waiting by the server."""
    faults = Counted("marquee_failed_calls_total", grpc_method="RecognizeImage", fault=fault)
    async with leaf(Scripted(seconds=300)) as address, stub(address) as client:
        await client.ListRecognizers(pb.ListRecognizersRequest(), wait_for_ready=True)
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await client.RecognizeImage(request(), timeout=seconds)
        await until(lambda: faults() == 1)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_counts_calls_that_it_cuts_off() -> None:
    """A call that a stopping server cuts off is counted as what its caller gets, and as the server's doing."""
    faults = Counted("marquee_failed_calls_total", grpc_method="RecognizeImage", fault="server")
    cut, recognizer = handled("Unavailable"), Scripted(seconds=300)
    async with AsyncExitStack() as life:
        async with leaf(recognizer) as address:
            client = await life.enter_async_context(stub(address))
            call = client.RecognizeImage(request())
            await until(lambda: recognizer.calls)
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await call
        await until(lambda: (cut(), faults()) == (1, 1))
    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_counts_streams() -> None:
    """A stream is counted as one call of type server_stream."""
    streamed = handled("OK", "StreamRecognizeImage", "server_stream")
    async with leaf(Scripted()) as address, stub(address) as client:
        _ = [message async for message in client.StreamRecognizeImage(request())]
    assert streamed() == 1


async def test_callers_who_do_not_wait_for_a_refusal() -> None:
    """A call that is cancelled while it is refused is no failure of the server's, and no error in its log."""
    ours = Counted("marquee_failed_calls_total", grpc_method="unknown", fault="server")
    with capture_logs() as logs:
        async with leaf(Scripted()) as address, grpc.aio.insecure_channel(address) as channel:
            ask = channel.unary_unary("/marquee.v1.RecognizerService/Guess")
            for moment in range(100):
                call = ask(b"", wait_for_ready=True)
                await asyncio.sleep(moment * 5e-5)
                call.cancel()
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await ask(b"")
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert ours() == 0
    assert [line for line in logs if line["log_level"] == "error"] == []


async def test_counts_cancelled_streams() -> None:
    """A stream that its caller cancels is counted as Canceled."""
    cancelled = handled("Canceled", "StreamRecognizeImage", "server_stream")
    recognizer = Scripted(seconds=300)
    async with leaf(recognizer) as address, stub(address) as client:
        call = client.StreamRecognizeImage(request())
        reading = asyncio.create_task(call.read())
        await until(lambda: recognizer.calls)
        call.cancel()
        await until(lambda: cancelled() == 1)
        await asyncio.gather(reading, return_exceptions=True)


@pytest.mark.parametrize("path", ["/marquee.v1.RecognizerService/Guess", "/any.Service/Method"])
async def test_unknown_methods_share_one_name(path: str) -> None:
    """Any method that does not exist is counted as unknown, so callers cannot create labels."""
    unknown = handled("Unimplemented", "unknown", "unary", "unknown")
    async with leaf(Scripted()) as address, grpc.aio.insecure_channel(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(path)(b"")
    assert (caught.value.code(), unknown()) == (grpc.StatusCode.UNIMPLEMENTED, 1)


def test_spells_codes_as_go_does() -> None:
    """Every code has Go's spelling, so dashboards for Go servers find it."""
    assert {metrics.code_name(code) for code in grpc.StatusCode} == {
        *("OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists"),
        *("PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented"),
        *("Internal", "Unavailable", "DataLoss", "Unauthenticated"),
    }


async def test_exports_the_model() -> None:
    """The metrics have the name and version of a loaded recognizer's model."""
    async with leaf(Scripted()):
        assert REGISTRY.get_sample_value("marquee_model_info", {"model": "scripted", "version": "1"}) == 1


def test_forgets_a_model_that_is_no_longer_used() -> None:
    """Once a model's version changes, the old version is no longer exported."""
    metrics.show_models({"celebrity": "1"})
    metrics.show_models({"celebrity": "2"})
    values = [REGISTRY.get_sample_value("marquee_model_info", {"model": "celebrity", "version": v}) for v in "12"]
    assert values == [None, 1]


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the exporter lives as long as its process
def test_exports_what_it_counts() -> None:
    """GET /metrics returns the series under go-grpc-middleware's names, and says what runs."""
    port = free_port()
    metrics.export(Settings(metrics_port=port, version="1.2.3", revision="abc1234"), "127.0.0.1")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        page = answer.read().decode()
    names = {line.split()[2] for line in page.splitlines() if line.startswith("# TYPE ")}
    assert {"grpc_server_started_total", "grpc_server_handled_total", "grpc_server_handling_seconds"} <= names
    assert 'marquee_build_info{revision="abc1234",version="1.2.3"} 1.0' in page


@pytest.mark.parametrize(
    ("text", "limit"), [("max\n", 0), ("536870912\n", 536870912), ("9223372036854771712\n", 0), (None, 0)]
)
def test_memory_limit_is_the_kernels(tmp_path: Path, text: str | None, limit: int) -> None:
    """The limit is read as either version of cgroups has it; without one, or without the file, it is 0."""
    if text is not None:
        (tmp_path / "limit").write_text(text)
    assert metrics.memory_limit([tmp_path / "missing", tmp_path / "limit"]) == limit
