"""Traces of calls, by OpenTelemetry, where OTEL_EXPORTER_OTLP_ENDPOINT is set.

OpenTelemetry's own variables say where spans go and how many: https://opentelemetry.io/docs/specs/otel/configuration/
"""

import os
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

import grpc

from services.runtime.errors import Misconfigured

# ruff: noqa: PLC0415 - OpenTelemetry is an extra, and takes long to import
Metadata = tuple[tuple[str, str], ...]
_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_Code = grpc.StatusCode
_SERVER_FAULTS = frozenset(
    (_Code.UNKNOWN, _Code.DEADLINE_EXCEEDED, _Code.UNIMPLEMENTED, _Code.INTERNAL, _Code.UNAVAILABLE, _Code.DATA_LOSS)
)
"""Codes that make a server's span an error, by the conventions; a client's is one with any code but OK."""
_provider: Any = None
_served: ContextVar[Any] = ContextVar("served", default=None)
"""The span of the call that is being answered."""


def configure(name: str) -> None:
    """Send spans, under the service's name, where the environment says. Raises Misconfigured without the extra."""
    global _provider  # noqa: PLW0603 - one for the process, as OpenTelemetry's own
    if not any(map(os.environ.get, _VARIABLES)):
        return
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise Misconfigured(f"{_VARIABLES[0]} is set, but OpenTelemetry is missing: install marquee[otel].") from None
    _provider = TracerProvider(resource=Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", name)}))
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))


def shut_down() -> None:
    """Send the spans that are left."""
    if _provider is not None:
        _provider.shutdown()


class Span:
    """A call from here until `end`. With tracing off it is nothing."""

    def __init__(self, span: Any = None) -> None:
        self._span = span

    @property
    def trace_id(self) -> str:
        """The trace's ID, in hexadecimal; empty with tracing off."""
        return f"{self._span.get_span_context().trace_id:032x}" if self._span else ""

    @property
    def metadata(self) -> Metadata:
        """What a call sends so that its server continues the trace."""
        if self._span is None:
            return ()
        from opentelemetry.trace import set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier, set_span_in_context(self._span))
        return tuple(carrier.items())

    def end(self, code: grpc.StatusCode) -> None:
        """End the span with the call's code."""
        if self._span is None:
            return
        from opentelemetry.trace import SpanKind, StatusCode

        self._span.set_attribute("rpc.grpc.status_code", int(code.value[0]))
        is_server = self._span.kind is SpanKind.SERVER
        if code in _SERVER_FAULTS or not (is_server or code is _Code.OK):
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


def server_span(path: str, metadata: Iterable[tuple[str, Any]]) -> Span:
    """Return the span of a call to this server of the method at the path. It continues the caller's trace, if any."""
    if _provider is None:
        return Span()
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {key: value for key, value in metadata if isinstance(value, str)}
    span = _begin(path, SpanKind.SERVER, TraceContextTextMapPropagator().extract(carrier))
    _served.set(span)
    return Span(span)


def client_span(path: str, recognizer: str) -> Span:
    """Return the span of a call to the recognizer of the method at the path."""
    if _provider is None:
        return Span()
    from opentelemetry.trace import SpanKind, set_span_in_context

    served = _served.get()
    span = _begin(path, SpanKind.CLIENT, set_span_in_context(served) if served else None)
    span.set_attribute("marquee.recognizer", recognizer)
    return Span(span)


def _begin(path: str, kind: Any, parent: Any) -> Any:
    service, _, method = path.lstrip("/").partition("/")
    attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
    return _provider.get_tracer("marquee").start_span(path.lstrip("/"), parent, kind, attributes)
