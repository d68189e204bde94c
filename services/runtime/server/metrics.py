"""Prometheus metrics of every server."""

from prometheus_client import Gauge, disable_created_metrics, start_http_server

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)
"""Seconds, up to the longest deadlines that callers usually set."""

disable_created_metrics()  # type: ignore[no-untyped-call] # they double the series and no dashboard reads them
_model = Gauge("marquee_model_info", "1 for each model in use.", ("model", "version"))


def show_models(models: dict[str, str]) -> None:
    """Export the models in use, name to version, in place of earlier ones."""
    _model.clear()
    for name, version in models.items():
        _model.labels(name, version).set(1)


def export(host: str, port: int) -> None:
    """Serve /metrics. Raises OSError if the port is taken."""
    start_http_server(port, addr=host)
