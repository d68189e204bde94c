"""Prometheus metrics of every server, named as go-grpc-middleware names them, so that its dashboards fit."""

from dataclasses import dataclass

import grpc
from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics, start_http_server

from services.runtime.server.calls import Handler

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_METHOD = ("grpc_type", "grpc_service", "grpc_method")

disable_created_metrics()  # type: ignore[no-untyped-call] # they double the series and no dashboard reads them
_started = Counter("grpc_server_started", "Calls begun.", _METHOD)
_handled = Counter("grpc_server_handled", "Calls ended, by code.", (*_METHOD, "grpc_code"))
_seconds = Histogram("grpc_server_handling_seconds", "Time from a call's begin to its end.", _METHOD, buckets=BUCKETS)
_model = Gauge("marquee_model_info", "1 for each model in use.", ("model", "version"))


@dataclass(frozen=True)
class Method:
    """A method as metrics and logs name it. Unknown ones share one name, so that callers make no labels."""

    type: str
    service: str
    name: str

    @classmethod
    def of(cls, path: str, handler: "Handler | None") -> "Method":
        """The method at the path "/package.Service/Name"."""
        if handler is None:
            return cls("unary", "unknown", "unknown")
        service, _, name = path.lstrip("/").partition("/")
        return cls(_type(handler), service, name)

    def begin(self) -> None:
        """Counts a call that begins."""
        _started.labels(self.type, self.service, self.name).inc()

    def end(self, code: grpc.StatusCode, seconds: float) -> None:
        """Counts a call that ended."""
        _handled.labels(self.type, self.service, self.name, code_name(code)).inc()
        _seconds.labels(self.type, self.service, self.name).observe(seconds)


def code_name(code: grpc.StatusCode) -> str:
    """The code as Go spells it: "DeadlineExceeded"; Go has one l in "Canceled"."""
    if code is grpc.StatusCode.OK:
        return "OK"
    if code is grpc.StatusCode.CANCELLED:
        return "Canceled"
    return "".join(word.capitalize() for word in code.name.split("_"))


def show_models(models: dict[str, str]) -> None:
    """Exports name → version of the models in use, and forgets those that no longer are."""
    _model.clear()
    for name, version in models.items():
        _model.labels(name, version).set(1)


def export(host: str, port: int) -> None:
    """Serves /metrics. Raises OSError where the port is taken."""
    start_http_server(port, addr=host)


def _type(handler: Handler) -> str:
    if handler.request_streaming:
        return "bidi_stream" if handler.response_streaming else "client_stream"
    return "server_stream" if handler.response_streaming else "unary"
