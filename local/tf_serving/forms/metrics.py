"""Counters and histograms with TensorFlow Serving's names, in the form that Prometheus reads.

Form: util/prometheus_exporter.cc:65-142. Names, labels and buckets in TensorFlow Serving's sources:
servables/tensorflow/util.cc:66-88, batching/batching_session.cc:59-68 and batching/batching_util.h:118-153;
`graph_runs` and `graph_run_time_usecs` in tensorflow/core/framework/metrics.cc.
"""

import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from local.tf_serving.errors import Refusal

PATH = "/monitoring/prometheus/metrics"
"""`kPrometheusPath`, unless the MonitoringConfig names another."""
_PREFIX = ":tensorflow:"
REQUEST_COUNT = f"{_PREFIX}serving:request_count"
REQUEST_LATENCY = f"{_PREFIX}serving:request_latency"
RUNTIME_LATENCY = f"{_PREFIX}serving:runtime_latency"
GRAPH_RUNS = f"{_PREFIX}core:graph_runs"
GRAPH_RUN_TIME = f"{_PREFIX}core:graph_run_time_usecs"
WRAPPED_RUNS = f"{_PREFIX}serving:batching_session:wrapped_run_count"
QUEUING_LATENCY = f"{_PREFIX}serving:batching_session:queuing_latency"
INPUT_BATCH_SIZE = f"{_PREFIX}serving:batching_session:input_batch_size"
PROCESSED_BATCH_SIZE = f"{_PREFIX}serving:batching_session:processed_batch_size"
PADDING_SIZE = f"{_PREFIX}serving:batching_session:padding_size"

_LATENCY_LIMITS = [10 * 1.8**power for power in range(33)]
_SIZE_LIMITS = [2.0**power for power in range(14)]
_LIMITS = {
    REQUEST_LATENCY: _LATENCY_LIMITS,
    RUNTIME_LATENCY: _LATENCY_LIMITS,
    QUEUING_LATENCY: [100 * 1.2**power for power in range(52)],
    INPUT_BATCH_SIZE: _SIZE_LIMITS,
    PROCESSED_BATCH_SIZE: _SIZE_LIMITS,
    PADDING_SIZE: _SIZE_LIMITS,
}
"""Upper limits of the buckets of histograms; the other names are counters. Latencies are in microseconds."""


class Metrics:
    """The values of one server. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counters: dict[str, dict[str, int]] = {}
        self._histograms: dict[str, dict[str, tuple[list[int], list[float]]]] = {}

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        """Add to a counter."""
        with self._lock:
            cells = self._counters.setdefault(name, {})
            key = _labels(labels)
            cells[key] = cells.get(key, 0) + amount

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add a value to a histogram."""
        limits = _LIMITS[name]
        with self._lock:
            cells = self._histograms.setdefault(name, {})
            counts, total = cells.setdefault(_labels(labels), ([0] * (len(limits) + 1), [0.0]))
            counts[bisect_left(limits, value)] += 1
            total[0] += value

    @contextmanager
    def request(self, model: str, api: str, entrypoint: str) -> Iterator[None]:
        """Count a request by how it ends, and measure one that succeeds (prediction_service_impl.cc:52-59)."""
        begin, status = time.perf_counter(), "CANCELLED"
        try:
            yield
        except Refusal as exc:
            status = exc.code.name
            raise
        else:
            status = "OK"
            latency = (time.perf_counter() - begin) * 1e6
            self.observe(REQUEST_LATENCY, latency, model_name=model, API=api, entrypoint=entrypoint)
        finally:
            self.count(REQUEST_COUNT, model_name=model, status=status)

    def text(self) -> str:
        """Return all values that there are, sorted by name."""
        with self._lock:
            lines = [*self._counter_lines(), *self._histogram_lines()]
        return "\n".join([*lines, ""])

    def _counter_lines(self) -> Iterator[str]:
        for name, cells in sorted(self._counters.items()):
            yield f"# TYPE {name} counter"
            yield from (f"{name}{{{labels}}} {value}" for labels, value in cells.items())

    def _histogram_lines(self) -> Iterator[str]:
        for name, cells in sorted(self._histograms.items()):
            yield f"# TYPE {name} histogram"
            for labels, (counts, [total]) in cells.items():
                yield from _bucket_lines(name, labels, counts)
                yield f"{name}_sum{{{labels}}} {total:g}"
                yield f"{name}_count{{{labels}}} {sum(counts)}"


def _bucket_lines(name: str, labels: str, counts: list[int]) -> Iterator[str]:
    limits = [*(f"{limit:g}" for limit in _LIMITS[name]), "+Inf"]
    prefix = f"{labels}," if labels else ""
    for position, limit in enumerate(limits):
        yield f'{name}_bucket{{{prefix}le="{limit}"}} {sum(counts[: position + 1])}'


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
