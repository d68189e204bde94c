"""Spans of OpenTelemetry, sent by OTLP over gRPC. Only `tracing` imports this, where they are asked for."""

import logging
import os
import re
import threading
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import grpc
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.runtime.errors import Misconfigured
from services.runtime.server.tracing import Span

_Code = grpc.StatusCode
_SERVER_FAULTS = frozenset(
    (_Code.UNKNOWN, _Code.DEADLINE_EXCEEDED, _Code.UNIMPLEMENTED, _Code.INTERNAL, _Code.UNAVAILABLE, _Code.DATA_LOSS)
)
"""Codes that make a server's span an error, by OpenTelemetry's conventions."""
_CLIENT_FAULTS = frozenset(_Code) - {_Code.OK}
_FAREWELL_SECONDS = 3.0
_HEADER = re.compile(r"[\w.-]+ *=[ !#-+\--:<-\[\]-~]*", re.ASCII)
"""A header as both OpenTelemetry and gRPC take it; others would be logged with their values, which are secrets."""
_propagator = TraceContextTextMapPropagator()
logging.getLogger("opentelemetry.trace.span").setLevel(logging.ERROR)  # it warns of all that callers get wrong
_served: ContextVar[trace.Span] = ContextVar("served", default=trace.INVALID_SPAN)
"""The span of the call that is being answered."""


class Tracer:
    """Makes the spans of a service, and sends them where OpenTelemetry's variables say.

    Raises Misconfigured, which names the variable and shows no secret, or other exceptions of OpenTelemetry.
    """

    def __init__(self, name: str) -> None:
        _check_endpoint()
        _check_headers()
        _check_files()
        resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME") or name})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._exporter = OTLPSpanExporter()
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("marquee")

    def shut_down(self) -> None:
        """Send the spans that are left, but do not wait for a collector that is away."""
        farewell = threading.Thread(target=self._provider.shutdown, daemon=True)
        farewell.start()
        farewell.join(_FAREWELL_SECONDS)
        if farewell.is_alive():
            self._exporter.shutdown()

    def server_span(self, path: str, metadata: Iterable[tuple[str, Any]]) -> Span:
        """Return the span of a call to this server."""
        carrier = {key: value for key, value in metadata if isinstance(value, str)}
        span = self._begin(path, trace.SpanKind.SERVER, _propagator.extract(carrier))
        _served.set(span)
        return _Span(span, _SERVER_FAULTS)

    def request_span(self, method: str, headers: Mapping[str, str]) -> Span:
        """Return the span of an HTTP request to this server."""
        attributes = {"http.request.method": method}
        span = self._tracer.start_span(method, _propagator.extract(headers), trace.SpanKind.SERVER, attributes)
        _served.set(span)
        return _Span(span, _SERVER_FAULTS)

    def client_span(self, path: str, recognizer: str) -> Span:
        """Return the span of a call that this server makes to answer its own."""
        span = self._begin(path, trace.SpanKind.CLIENT, trace.set_span_in_context(_served.get()))
        span.set_attribute("marquee.recognizer", recognizer)
        return _Span(span, _CLIENT_FAULTS)

    def exemplar(self) -> dict[str, str] | None:
        """Return the trace of the call that is being answered; None if it is not sampled, and nobody can look at it."""
        context = _served.get().get_span_context()
        return {"trace_id": f"{context.trace_id:032x}"} if context.trace_flags.sampled else None

    def _begin(self, path: str, kind: trace.SpanKind, parent: Context) -> trace.Span:
        service, _, method = path.lstrip("/").partition("/")
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
        return self._tracer.start_span(path.lstrip("/"), parent, kind, attributes)


def _check_endpoint() -> None:
    name, endpoint = _variable("ENDPOINT")
    try:
        parts = urlsplit(endpoint)
        default = 443 if parts.scheme == "https" else 0  # as gRPC has it, whose port for plaintext is 443, too
        is_url = (
            parts.scheme in ("http", "https") and parts.hostname and (default if parts.port is None else parts.port)
        )
    except ValueError:
        is_url = False
    if not is_url or "@" in endpoint:
        raise Misconfigured(f"{name} is no http://HOST:PORT or https://HOST:PORT, without a user or a password.")
    name, protocol = _variable("PROTOCOL")
    if protocol not in ("", "grpc"):
        raise Misconfigured(
            f"{name} is {protocol}, but spans are sent by grpc alone, to a collector's port 4317 mostly."
        )


def _check_headers() -> None:
    name, headers = _variable("HEADERS")
    for header in filter(None, map(str.strip, headers.split(","))):
        value = unquote(header)
        if not (_HEADER.fullmatch(header) and value.isascii() and value.isprintable()):
            raise Misconfigured(f"{name} is no list of NAME=VALUE, parted by commas, with values in URL encoding.")


def _check_files() -> None:
    for name, path in map(_variable, ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")):
        if path and not Path(path).is_file():
            raise Misconfigured(f"{name} is {path}, where there is no file.")


def _variable(name: str) -> tuple[str, str]:
    """Return the name and the value of OpenTelemetry's variable for traces, or of that for all if it is not set."""
    names = (f"OTEL_EXPORTER_OTLP_TRACES_{name}", f"OTEL_EXPORTER_OTLP_{name}")
    return next(((one, os.environ[one]) for one in names if os.environ.get(one)), (names[-1], ""))


class _Span(Span):
    """A span of OpenTelemetry."""

    def __init__(self, span: trace.Span, faults: frozenset[grpc.StatusCode]) -> None:
        self._span = span
        self._faults = faults
        context = span.get_span_context()
        self.trace_id = f"{context.trace_id:032x}" if context.is_valid else ""
        carrier: dict[str, str] = {}
        _propagator.inject(carrier, trace.set_span_in_context(span))
        self.metadata = tuple(carrier.items())

    def end(self, code: grpc.StatusCode) -> None:
        """End the span with the call's code; one that the caller does not sample goes nowhere."""
        self._span.set_attribute("rpc.grpc.status_code", int(code.value[0]))
        if code in self._faults:
            self._span.set_status(trace.StatusCode.ERROR, code.name)
        self._span.end()

    def end_request(self, route: str, status: int) -> None:
        """End the span of an HTTP request; from 500 on the status is an error, by OpenTelemetry's conventions."""
        self._span.set_attributes({"http.route": route, "http.response.status_code": status})
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()
