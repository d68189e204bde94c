"""TensorFlow Serving beside the Keras recognizer, and the GPU under it."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from helm.dashboards.panels import HERE, RATE, board, heat, lines, stacked

_MICRO = 1e6
_REQUESTS = ":tensorflow:serving:request_count"
_LATENCY = ":tensorflow:serving:request_latency"
_BATCH = ":tensorflow:serving:batching_session"
_GPU = 'exported_namespace=~"$namespace|"'
"""DCGM's exporter names the pod that holds the GPU in labels that Prometheus renames, if it names one at all."""


def dashboard() -> Dashboard:
    """Build the page: requests, latency, batches and GPU."""
    page = board("serving", "Marquee / TensorFlow Serving and GPU", "The Keras model's server and its GPU.")
    for part in (_requests, _batches, _gpu):
        page = part(page)
    return page


def _requests(page: Dashboard) -> Dashboard:
    requests = f"sum by (model_name, status) (rate({_REQUESTS}{{{HERE}}}{RATE}))"
    buckets = f"sum by (le) (increase({_LATENCY}_bucket{{{HERE}}}{RATE}))"
    return (
        page.with_row(Row("Requests"))
        .with_panel(stacked("Requests", "By model and status.", "reqps", {"{{model_name}} {{status}}": requests}))
        .with_panel(heat("Latency", "In the server.", buckets, unit="µs"))
        .with_panel(lines("Latency percentiles", "In the server.", "s", _percentiles(_LATENCY)))
    )


def _batches(page: Dashboard) -> Dashboard:
    size, padding = (
        f"sum(rate({_BATCH}:{name}_sum{{{HERE}}}{RATE})) / sum(rate({_BATCH}:{name}_count{{{HERE}}}{RATE}))"
        for name in ("processed_batch_size", "padding_size")
    )
    sizes = {"pictures and padding": size, "padding": padding}
    return (
        page.with_row(Row("Batches"))
        .with_panel(lines("Batch size", "Mean; padding fills a batch up to an allowed size.", "short", sizes, 12))
        .with_panel(
            lines("Waiting for a batch", "Time in the queue.", "s", _percentiles(f"{_BATCH}:queuing_latency"), 12)
        )
    )


def _gpu(page: Dashboard) -> Dashboard:
    used, free = (f"DCGM_FI_DEV_FB_{what}{{{_GPU}}}" for what in ("USED", "FREE"))
    each = "{{Hostname}} {{gpu}}"
    return (
        page.with_row(Row("GPU (dcgm-exporter)"))
        .with_panel(lines("Busy", "Share of time.", "percent", {each: f"DCGM_FI_DEV_GPU_UTIL{{{_GPU}}}"}, 6))
        .with_panel(lines("Memory", "Share used.", "percentunit", {each: f"{used} / ({used} + {free})"}, 6))
        .with_panel(lines("Temperature", "Of the chip.", "celsius", {each: f"DCGM_FI_DEV_GPU_TEMP{{{_GPU}}}"}, 6))
        .with_panel(lines("Power", "Drawn.", "watt", {each: f"DCGM_FI_DEV_POWER_USAGE{{{_GPU}}}"}, 6))
    )


def _percentiles(histogram: str) -> dict[str, str]:
    """Return percentiles in seconds of a histogram in microseconds."""
    rate = f"sum by (le) (rate({histogram}_bucket{{{HERE}}}{RATE}))"
    return {f"p{share}": f"histogram_quantile(0.{share}, {rate}) / {_MICRO:.0f}" for share in (50, 95, 99)}
