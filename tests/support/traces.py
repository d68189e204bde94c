"""An OpenTelemetry collector."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Collector(otlp_grpc.TraceServiceServicer):
    """Receives spans by OTLP."""

    spans: list[tuple[str, Span]] = field(default_factory=list)
    """Each with its service's name."""

    def Export(  # noqa: N802 - the protocol's name
        self, request: otlp.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> otlp.ExportTraceServiceResponse:
        del context
        for one in request.resource_spans:
            attributes = {each.key: each.value.string_value for each in one.resource.attributes}
            self.spans += [(attributes["service.name"], span) for scope in one.scope_spans for span in scope.spans]
        return otlp.ExportTraceServiceResponse()

    def of(self, trace: str) -> list[tuple[str, Span]]:
        return [one for one in self.spans if one[1].trace_id.hex() == trace]


@contextmanager
def collecting() -> Iterator[tuple[Collector, dict[str, str]]]:
    """Serve a collector; yield it, and the variables of processes that send spans to it soon."""
    collector, server = Collector(), grpc.server(ThreadPoolExecutor(1))
    otlp_grpc.add_TraceServiceServicer_to_server(collector, server)
    endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield collector, {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "50"}
    finally:
        server.stop(0).wait()
