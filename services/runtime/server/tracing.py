"""Traces of calls, by OpenTelemetry, where OTEL_EXPORTER_OTLP_ENDPOINT is set; elsewhere nothing of it is imported.

OpenTelemetry's own variables say where spans go and how many: https://opentelemetry.io/docs/specs/otel/configuration/
"""

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import grpc

from services.runtime.errors import Misconfigured

if TYPE_CHECKING:
    from services.runtime.server.spans import Tracer

Metadata = tuple[tuple[str, str], ...]
_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_tracer: "Tracer | None" = None


class Span:
    """A call from here until `end`. This one, with tracing off, is nothing."""

    trace_id: str = ""
    """The trace's ID, in hexadecimal."""
    metadata: Metadata = ()
    """What a call sends so that its server continues the trace."""

    def end(self, code: grpc.StatusCode) -> None:
        """End the span with the call's code."""

    def end_request(self, route: str, status: int) -> None:
        """End the span of an HTTP request with the template of its path and its status."""


NO_SPAN = Span()


def configure(name: str) -> None:
    """Send spans, under the service's name, where the environment says.

    Raises Misconfigured without the extra, or for variables that cannot be used.
    """
    global _tracer  # noqa: PLW0603 - one for the process, as OpenTelemetry's own
    if not any(map(os.environ.get, _VARIABLES)):
        return
    try:
        from services.runtime.server.spans import Tracer  # noqa: PLC0415 - an extra, which takes long to import
    except ImportError:
        raise Misconfigured(f"{_VARIABLES[0]} is set, but OpenTelemetry is missing: install marquee[otel].") from None
    try:
        _tracer = Tracer(name)
    except Misconfigured:
        raise
    except Exception as exc:  # of OpenTelemetry, and many
        raise Misconfigured(f"OpenTelemetry cannot use its variables, OTEL_…: {exc}") from exc


def shut_down() -> None:
    """Send the spans that are left, for some seconds at most, and stop."""
    global _tracer  # noqa: PLW0603 - see `configure`
    if _tracer is not None:
        _tracer.shut_down()
        _tracer = None


def server_span(path: str, metadata: Iterable[tuple[str, Any]]) -> Span:
    """Return the span of a call to this server of the method at the path. It continues the caller's trace, if any."""
    return _tracer.server_span(path, metadata) if _tracer else NO_SPAN


def request_span(method: str, headers: Mapping[str, str]) -> Span:
    """Return the span of an HTTP request to this server. It continues the caller's trace, if any."""
    return _tracer.request_span(method, headers) if _tracer else NO_SPAN


def exemplar() -> dict[str, str] | None:
    """Return what leads from a measurement to the trace of the call that is answered; None if it is not sampled."""
    return _tracer.exemplar() if _tracer else None


def client_span(path: str, recognizer: str) -> Span:
    """Return the span of a call to the recognizer of the method at the path, within the call that is answered."""
    return _tracer.client_span(path, recognizer) if _tracer else NO_SPAN
