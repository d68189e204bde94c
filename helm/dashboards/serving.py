"""TensorFlow Serving beside the Keras recognizer, and the GPU under it."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from helm.dashboards.alerts import runbooks
from helm.dashboards.board import board
from helm.dashboards.panels import HERE, RATE, coloured, heat, lines, quantile, quantiles, stacked, stepped
from helm.dashboards.tiles import Tile

_MICRO = 1e6
_REQUESTS = f":tensorflow:serving:request_count{{{HERE}"
_LATENCY = ":tensorflow:serving:request_latency"
_BATCH = ":tensorflow:serving:batching_session"
_GPU = 'exported_namespace=~"$namespace|"'
"""DCGM's exporter names the pod that holds the GPU in labels that Prometheus renames, if it names one at all."""
_P95 = f"{quantile(95, _LATENCY, HERE)} / {_MICRO:.0f}"
_NO_SERVER = "No requests, or serving.enabled is off"
_NO_BATCHES = "No batches: TensorFlow Serving runs without --enable_batching"
_NO_GPU = "No dcgm-exporter"
_TILES = (
    Tile("Requests", "Requests that ended.", "reqps", f"sum(rate({_REQUESTS}}}{RATE}))", _NO_SERVER),
    Tile(
        "Failed",
        "Share of the requests that did not end with OK.",
        "percentunit",
        f'1 - sum(rate({_REQUESTS}, status="OK"}}{RATE})) / sum(rate({_REQUESTS}}}{RATE}))',
        _NO_SERVER,
        ("recognizer-down",),
        {0.01: "orange", 0.5: "red"},
        "green",
    ),
    Tile(
        "Latency p95", "95 % of the requests are faster.", "s", _P95, _NO_SERVER, (), {1: "orange", 2.5: "red"}, "green"
    ),
    Tile("GPU busy", "Share of time, of the busiest GPU.", "percent", f"max(DCGM_FI_DEV_GPU_UTIL{{{_GPU}}})", _NO_GPU),
    Tile(
        "GPU memory",
        "Share used, of the fullest GPU. TensorFlow takes all of it unless told otherwise.",
        "percentunit",
        f"max(DCGM_FI_DEV_FB_USED{{{_GPU}}} / (DCGM_FI_DEV_FB_USED{{{_GPU}}} + DCGM_FI_DEV_FB_FREE{{{_GPU}}}))",
        _NO_GPU,
    ),
    Tile(
        "GPU temperature",
        "Of the hottest chip. Most slow down between 85 and 90 °C.",
        "celsius",
        f"max(DCGM_FI_DEV_GPU_TEMP{{{_GPU}}})",
        _NO_GPU,
        (),
        {75: "orange", 85: "red"},
        "green",
    ),
)


def dashboard() -> Dashboard:
    """Build the page: requests, latency, batches and GPU."""
    page = board("serving", "Marquee / TensorFlow Serving and GPU", "The Keras model's server and its GPU.")
    for tile in _TILES:
        page = page.with_panel(tile.panel())
    for part in (_requests, _batches, _gpu):
        page = part(page)
    return page


def _requests(page: Dashboard) -> Dashboard:
    requests = f"sum by (model_name, status) (rate({_REQUESTS}}}{RATE}))"
    buckets = f"sum by (le) (increase({_LATENCY}_bucket{{{HERE}}}{RATE}))"
    by_status = stacked("Requests", "By model and status.", "reqps", {"{{model_name}} {{status}}": requests})
    percentiles = lines("Latency percentiles", "In the server.", "s", _percentiles(_LATENCY))
    return (
        page.with_row(Row("Requests"))
        .with_panel(
            coloured(by_status, {" ": "red", " OK": "green"}).no_value(_NO_SERVER).links(runbooks("recognizer-down"))
        )
        .with_panel(heat("Latency", "In the server.", buckets, unit="µs").no_value(_NO_SERVER))
        .with_panel(percentiles.no_value(_NO_SERVER))
    )


def _batches(page: Dashboard) -> Dashboard:
    size, padding = (
        f"sum(rate({_BATCH}:{name}_sum{{{HERE}}}{RATE})) / sum(rate({_BATCH}:{name}_count{{{HERE}}}{RATE}))"
        for name in ("processed_batch_size", "padding_size")
    )
    sizes = {"pictures and padding": size, "padding": padding}
    waits = _percentiles(f"{_BATCH}:queuing_latency")
    mean = lines("Batch size", "Mean; padding fills a batch up to an allowed size.", "suffix:pictures", sizes, 12)
    waiting = lines("Waiting for a batch", "Time in the queue.", "s", waits, 12)
    page = page.with_row(Row("Batches"))
    return page.with_panel(mean.no_value(_NO_BATCHES)).with_panel(waiting.no_value(_NO_BATCHES))


def _gpu(page: Dashboard) -> Dashboard:
    used, free = (f"DCGM_FI_DEV_FB_{what}{{{_GPU}}}" for what in ("USED", "FREE"))
    each = "{{Hostname}} {{gpu}}"
    temperature = lines("Temperature", "Of the chip.", "celsius", {each: f"DCGM_FI_DEV_GPU_TEMP{{{_GPU}}}"}, 6)
    panels = (
        lines("Busy", "Share of time.", "percent", {each: f"DCGM_FI_DEV_GPU_UTIL{{{_GPU}}}"}, 6).max(100),
        lines("Memory", "Share used.", "percentunit", {each: f"{used} / ({used} + {free})"}, 6).axis_soft_max(1),
        stepped(temperature, {75: "orange", 85: "red"}),
        lines("Power", "Drawn.", "watt", {each: f"DCGM_FI_DEV_POWER_USAGE{{{_GPU}}}"}, 6),
    )
    page = page.with_row(Row("GPU (dcgm-exporter)"))
    for panel in panels:
        page = page.with_panel(panel.no_value(_NO_GPU))
    return page


def _percentiles(histogram: str) -> dict[str, str]:
    """Return percentiles in seconds of a histogram in microseconds."""
    return {legend: f"{query} / {_MICRO:.0f}" for legend, query in quantiles(histogram, HERE).items()}
