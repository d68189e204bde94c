"""Prometheus metrics of every server."""

from collections.abc import Sequence
from pathlib import Path

from prometheus_client import Gauge, disable_created_metrics, start_http_server

from services.runtime.settings import ProcessSettings

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)
"""Seconds, up to the longest deadlines that callers usually set."""

disable_created_metrics()  # type: ignore[no-untyped-call] # they double the series and no dashboard reads them
_model = Gauge("marquee_model_info", "1 for each model in use.", ("model", "version"))
_build = Gauge("marquee_build_info", "1 for what runs: its version and its commit.", ("version", "revision"))
_memory = Gauge("marquee_memory_limit_bytes", "Memory that the container may use, in bytes; 0 without a limit.")
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
