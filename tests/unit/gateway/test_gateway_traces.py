"""Traces over a gateway and a recognizer, as an OpenTelemetry collector receives them."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from services.runtime.errors import Misconfigured
from services.runtime.server import tracing
from tests.support.processes import PATIENCE, ROOT, run
from tests.support.servers import LeafProcess, nobody, request, until
from tests.support.traces import Collector, collecting

pytestmark = pytest.mark.slow

RECOGNIZE = "marquee.v1.RecognizerService/RecognizeImage"
PARENT = "b7ad6b7169203331"


@dataclass(frozen=True)
class System:
    """A gateway over a recognizer, `near`, and nobody, `gone`, as processes that send spans to the collector."""

    collector: Collector
    gateway: LeafProcess
    leaf: LeafProcess

    async def call(self, *metadata: tuple[str, str | bytes], **fields: object) -> None:
        async with self.gateway.client() as client:
            await client.RecognizeImage(request(**fields), timeout=PATIENCE, metadata=metadata)

    def traces(self, server: LeafProcess) -> list[object]:
        """Return the traces in a server's log lines of calls."""
        return [line["trace_id"] for line in server.events("call") if line["method"] == "RecognizeImage"]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("traces")
    config = folder / "gateway.yaml"
    with ExitStack() as stack:
        collector, otel = stack.enter_context(collecting())
        leaf = start(stack, folder / "leaf", **otel)
        config.write_text(
            f"cache: {{mib: 0}}\nrecognizers: {{near: {{target: '{leaf.address}'}}, gone: {{target: '{nobody()}'}}}}"
        )
        own = {"module": "services.gateway", "MARQUEE_GATEWAY_CONFIG": str(config)}
        gateway = start(stack, folder / "gateway", **otel, **own, OTEL_SERVICE_NAME="mine")
        asyncio.run(leaf.serving())
        yield System(collector, gateway, leaf)


def start(stack: ExitStack, folder: Path, **options: str) -> LeafProcess:
    folder.mkdir()
    server = LeafProcess(folder, **options)
    stack.callback(server.close)
    return server


def traceparent(trace: str, flags: str = "01") -> tuple[str, str]:
    return ("traceparent", f"00-{trace}-{PARENT}-{flags}")


def kind(span: Span) -> str:
    return Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_")


def code(span: Span) -> int:
    return next(one.value.int_value for one in span.attributes if one.key == "rpc.grpc.status_code")


async def test_a_call_is_one_trace(system: System) -> None:
    """A call's spans follow each other from the client's, over the gateway's calls, to the recognizer, with codes."""
    trace = "a" * 32
    await system.call(traceparent(trace))
    await until(lambda: len(system.collector.of(trace)) == 4)
    spans = system.collector.of(trace)
    names = {span.span_id.hex(): service for service, span in spans} | {PARENT: "client"}
    near = next(span for _, span in spans if any(one.value.string_value == "near" for one in span.attributes))
    assert {span.name for _, span in spans} == {RECOGNIZE}
    assert sorted((service, kind(span), names[span.parent_span_id.hex()], code(span)) for service, span in spans) == [
        ("marquee-leaf", "SERVER", "mine", 0),
        ("mine", "CLIENT", "mine", 0),
        ("mine", "CLIENT", "mine", 14),
        ("mine", "SERVER", "client", 0),
    ]
    assert [span.parent_span_id for service, span in spans if service == "marquee-leaf"] == [near.span_id]
    assert [code(span) for _, span in spans if span.status.code == Status.STATUS_CODE_ERROR] == [14]
    assert trace in system.traces(system.gateway)
    assert trace in system.traces(system.leaf)


@pytest.mark.parametrize(
    "metadata",
    [(), (("traceparent", "nonsense"),), (("traceparent-bin", b"\xff"),)],
    ids=["none", "nonsense", "bytes"],
)
async def test_a_call_without_a_trace_begins_one(system: System, metadata: tuple[tuple[str, str | bytes], ...]) -> None:
    """A caller without a trace, or with nonsense for one, gets a new one."""
    count = len(system.traces(system.gateway))
    await system.call(*metadata)
    await until(lambda: len(system.traces(system.gateway)) > count)
    trace = str(system.traces(system.gateway)[-1])
    await until(lambda: len(system.collector.of(trace)) == 4)
    assert [span.parent_span_id for _, span in system.collector.of(trace) if kind(span) == "SERVER"].count(b"") == 1


async def test_durations_lead_to_traces(system: System) -> None:
    """Histograms in OpenMetrics' format have exemplars: traces of calls, of the server and of each recognizer."""
    trace = "1e" * 16
    await system.call(traceparent(trace))
    expected = {"grpc_server_handling_seconds_bucket", "marquee_backend_duration_seconds_bucket"}
    await until(lambda: {line.partition("{")[0] for line in exemplars(system.gateway, trace)} == expected)


def exemplars(server: LeafProcess, trace: str) -> list[str]:
    """Return the lines of a server's metrics that lead to the trace."""
    text = httpx.get(server.metrics_url, headers={"Accept": "application/openmetrics-text"}, timeout=PATIENCE).text
    return [line for line in text.splitlines() if f'# {{trace_id="{trace}"}}' in line]


async def test_a_failed_call_is_an_error_of_its_span(system: System) -> None:
    """A call that fails through no fault of its caller has spans that are errors, with the code."""
    trace = "b" * 32
    with pytest.raises(grpc.aio.AioRpcError):
        await system.call(traceparent(trace), recognizers=["gone"])
    await until(lambda: len(system.collector.of(trace)) == 2)
    assert {(code(span), span.status.code) for _, span in system.collector.of(trace)} == {
        (14, Status.STATUS_CODE_ERROR)
    }


async def test_a_call_that_its_caller_does_not_sample_sends_no_span(system: System) -> None:
    """Such a call is answered and logged as others are, and its spans go nowhere, at the recognizer neither."""
    unsampled, sampled = "c" * 32, "d" * 32
    await system.call(traceparent(unsampled, "00"))
    await system.call(traceparent(sampled))
    await until(lambda: len(system.collector.of(sampled)) == 4)
    assert system.collector.of(unsampled) == []
    assert unsampled in system.traces(system.leaf)


async def test_health_is_not_traced(system: System) -> None:
    """Probes ask often, and have no spans."""
    trace = "e" * 32
    await system.gateway.health()
    await system.call(traceparent(trace))
    await until(lambda: len(system.collector.of(trace)) == 4)
    assert {span.name for _, span in system.collector.spans} == {RECOGNIZE}


async def test_a_collector_that_hangs_delays_nothing(tmp_path: Path) -> None:
    """Calls are answered without the collector, and the server ends within seconds, not at the exporter's deadline."""
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        patient = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_TIMEOUT": "300"}
        leaf = start(stack, tmp_path / "leaf", **patient)
        await leaf.serving()
        async with leaf.client() as client:
            await client.RecognizeImage(request(), timeout=PATIENCE)
        begin = time.monotonic()
        leaf.process.send_signal(signal.SIGTERM)
        assert await leaf.ended() == 0
    assert time.monotonic() - begin < 25  # OpenTelemetry would take 30


UNSAID = "hush"
WRONG = {
    "no URL": {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"},
    "no port for plaintext": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector"},
    "a port that is none": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:otlp"},
    "a password": {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://user:{UNSAID}@collector:4317"},
    "another protocol": {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
    "another protocol for traces": {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"},
    "a header as in HTTP": {"OTEL_EXPORTER_OTLP_HEADERS": f"Authorization: Bearer {UNSAID}"},
    "a header with a comma": {"OTEL_EXPORTER_OTLP_TRACES_HEADERS": f"key=one,{UNSAID}"},
    "a header with a line feed": {"OTEL_EXPORTER_OTLP_HEADERS": f"key={UNSAID}%0a"},
    "a header without a name": {"OTEL_EXPORTER_OTLP_HEADERS": f"={UNSAID}"},
    "no such file": {"OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere/ca.pem"},
    "no such compression": {"OTEL_EXPORTER_OTLP_COMPRESSION": "brotli"},
    "no delay": {"OTEL_BSP_SCHEDULE_DELAY": "-1"},
    "no time": {"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"},
}


@pytest.mark.parametrize("variables", WRONG.values(), ids=WRONG)
def test_wrong_variables_are_refused(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A server does not start with variables under which its spans would go nowhere; secrets in them are not shown."""
    for name, value in ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317"} | variables).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured, match="OTEL_") as caught:
        tracing.configure("it")
    assert UNSAID not in str(caught.value) + caplog.text


IMPORTED = """
import sys
from services.runtime.server import server, tracing
tracing.configure("it")
assert tracing.server_span("/a/b", ()).metadata == ()
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
MISSING = """
import sys
sys.modules["opentelemetry"] = None
from services.runtime.errors import Misconfigured
from services.runtime.server import tracing
try:
    tracing.configure("it")
except Misconfigured as exc:
    print(exc)
"""


def test_is_not_imported_where_it_is_off() -> None:
    """Without the variable nothing of OpenTelemetry is imported."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    assert run([sys.executable, "-c", IMPORTED], env=environment, cwd=ROOT).stdout == "[]\n"


def test_says_what_to_install() -> None:
    """With the variable but without the extra, the error names both."""
    environment = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317"}
    done = run([sys.executable, "-c", MISSING], env=environment, cwd=ROOT)
    assert done.stdout == ("OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is missing: install marquee[otel].\n")
