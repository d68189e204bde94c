"""Prometheus metrics of every server."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeAlias

import grpc
from google.rpc import status_pb2
from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics, start_http_server

from services.runtime import status
from services.runtime.server.tracing import exemplar
from services.runtime.settings import ProcessSettings

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
HEALTH, REFLECTION = "grpc.health.", "grpc.reflection."
"""How the names of these services begin."""

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)
"""Seconds, up to the longest deadlines that callers usually set."""

disable_created_metrics()  # type: ignore[no-untyped-call] # they double the series and no dashboard reads them
_model = Gauge("marquee_model_info", "1 for each model in use.", ("model", "version"))
_build = Gauge("marquee_build_info", "1 for what runs: its version and its commit.", ("version", "revision"))
_memory = Gauge("marquee_memory_limit_bytes", "Memory that the container may use, in bytes; 0 without a limit.")
_METHOD = ("grpc_type", "grpc_service", "grpc_method")
# The names are those of go-grpc-middleware, so that its dashboards fit.
_started = Counter("grpc_server_started", "Total RPCs started on the server.", _METHOD)
_handled = Counter("grpc_server_handled", "Total RPCs completed on the server, by code.", (*_METHOD, "grpc_code"))
_seconds = Histogram(
    "grpc_server_handling_seconds", "Duration of RPCs handled by the server, in seconds.", _METHOD, buckets=BUCKETS
)
_failed = Counter("marquee_failed_calls", "Total failed RPCs, by whose fault it is.", ("grpc_method", "fault"))
_CGROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_NO_LIMIT = 2**60
"""Version 1 of cgroups has no word for it, but a number of pages that no machine has."""


def show_models(models: dict[str, str]) -> None:
    """Export the models in use, name to version, in place of earlier ones."""
    _model.clear()
    for name, version in models.items():
        _model.labels(name, version).set(1)


def export(settings: ProcessSettings, host: str) -> None:
    """Serve /metrics, on the server's host unless they have one of their own. Raises OSError if the port is taken."""
    _build.labels(settings.version, settings.revision).set(1)
    _memory.set(memory_limit(_CGROUPS))
    port = settings.metrics_port
    try:
        start_http_server(port, addr=settings.metrics_host or host)
    except OSError as exc:
        raise OSError(f"Cannot serve metrics on port {port}: {exc}. Set MARQUEE_METRICS_PORT.") from exc


def memory_limit(files: Sequence[Path]) -> int:
    """Return the limit in the first of the kernel's files that there is, in bytes; 0 if there is no limit."""
    text = next((path.read_text().strip() for path in files if path.is_file()), "max")
    return int(text) if text.isdecimal() and int(text) < _NO_LIMIT else 0


@dataclass(frozen=True)
class Method:
    """A method as metrics and logs name it. All unknown methods share one name, so that callers add no labels."""

    type: str
    service: str
    name: str

    @property
    def path(self) -> str:
        """The method as gRPC names it: "/package.Service/Name"."""
        return f"/{self.service}/{self.name}"

    @property
    def is_quiet(self) -> bool:
        """Whether it is a probe's or a tool's, which asks often."""
        return self.service.startswith((HEALTH, REFLECTION))

    @classmethod
    def of(cls, path: str, handler: "Handler | None") -> "Method":
        """Return the method at the path "/package.Service/Name"."""
        if handler is None:
            return cls("unary", "unknown", "unknown")
        service, _, name = path.lstrip("/").partition("/")
        return cls(_type(handler), service, name)

    def begin(self) -> None:
        """Count the start of a call."""
        _failures(self.name)
        self._started.inc()

    def end(self, code: grpc.StatusCode, seconds: float, fault: status.Fault | None = None) -> None:
        """Count the end of a call; the code says whose fault a failure is unless `fault` does."""
        if code is not grpc.StatusCode.OK:
            _failures(self.name)[fault or status.fault_of(status_pb2.Status(code=status.number(code)))].inc()
        self._handled(code).inc()
        self._seconds.observe(seconds, exemplar())

    @cached_property
    def _started(self) -> Counter:
        return _started.labels(self.type, self.service, self.name)

    @cached_property
    def _seconds(self) -> Histogram:
        return _seconds.labels(self.type, self.service, self.name)

    @cached_property
    def _handled(self) -> Callable[[grpc.StatusCode], Counter]:
        return cache(lambda code: _handled.labels(self.type, self.service, self.name, code_name(code)))


@cache
def _failures(method: str) -> dict[status.Fault, Counter]:
    """Return what counts the method's failures by fault: from 0 on, so that Prometheus sees the first one, too."""
    return {fault: _failed.labels(method, fault) for fault in status.FAULTS}


def code_name(code: grpc.StatusCode) -> str:
    """Return the code in Go's spelling, such as "DeadlineExceeded"; "Canceled" has one l."""
    if code is grpc.StatusCode.OK:
        return "OK"
    if code is grpc.StatusCode.CANCELLED:
        return "Canceled"
    return "".join(word.capitalize() for word in code.name.split("_"))


def _type(handler: Handler) -> str:
    if handler.request_streaming:
        return "bidi_stream" if handler.response_streaming else "client_stream"
    return "server_stream" if handler.response_streaming else "unary"
