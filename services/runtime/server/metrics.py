"""Prometheus metrics of every server, with the names of go-grpc-middleware, so that its dashboards fit."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics, start_http_server

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_METHOD = ("grpc_type", "grpc_service", "grpc_method")

disable_created_metrics()  # type: ignore[no-untyped-call] # they double the series and no dashboard reads them
_started = Counter("grpc_server_started", "Total RPCs started on the server.", _METHOD)
_handled = Counter("grpc_server_handled", "Total RPCs completed on the server, by code.", (*_METHOD, "grpc_code"))
_seconds = Histogram(
    "grpc_server_handling_seconds", "Duration of RPCs handled by the server, in seconds.", _METHOD, buckets=BUCKETS
)
_model = Gauge("marquee_model_info", "1 for each model in use.", ("model", "version"))


@dataclass(frozen=True)
class Method:
    """A method as metrics and logs name it. All unknown methods share one name, so that callers add no labels."""

    type: str
    service: str
    name: str

    @classmethod
    def of(cls, path: str, handler: "Handler | None") -> "Method":
        """Return the method at the path "/package.Service/Name"."""
        if handler is None:
            return cls("unary", "unknown", "unknown")
        service, _, name = path.lstrip("/").partition("/")
        return cls(_type(handler), service, name)

    def begin(self) -> None:
        """Count the start of a call."""
        _started.labels(self.type, self.service, self.name).inc()

    def end(self, code: grpc.StatusCode, seconds: float) -> None:
        """Count the end of a call."""
        _handled.labels(self.type, self.service, self.name, code_name(code)).inc()
        _seconds.labels(self.type, self.service, self.name).observe(seconds)


def code_name(code: grpc.StatusCode) -> str:
    """Return the code in Go's spelling, such as "DeadlineExceeded"; "Canceled" has one l."""
    if code is grpc.StatusCode.OK:
        return "OK"
    if code is grpc.StatusCode.CANCELLED:
        return "Canceled"
    return "".join(word.capitalize() for word in code.name.split("_"))


def show_models(models: dict[str, str]) -> None:
    """Export the models in use, name to version, in place of earlier ones."""
    _model.clear()
    for name, version in models.items():
        _model.labels(name, version).set(1)


def export(host: str, port: int) -> None:
    """Serve /metrics. Raises OSError if the port is taken."""
    start_http_server(port, addr=host)


def _type(handler: Handler) -> str:
    if handler.request_streaming:
        return "bidi_stream" if handler.response_streaming else "client_stream"
    return "server_stream" if handler.response_streaming else "unary"
