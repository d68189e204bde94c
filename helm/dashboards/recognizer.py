"""One recognizer in detail: as the gateway sees it, as it sees itself, and its pods."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from helm.dashboards.alerts import runbooks
from helm.dashboards.board import board, choice
from helm.dashboards.operation import enrollment, places
from helm.dashboards.panels import (
    FAULTS,
    HERE,
    OUTCOMES,
    RATE,
    calls_by_code,
    coloured,
    heat,
    limited,
    lines,
    listing,
    quantile,
    quantiles,
    stacked,
)
from helm.dashboards.tiles import Tile, pods, restarts

_FROM_GATEWAY = f'{HERE}, recognizer="$recognizer"'
_RESULTS = f"marquee_backend_results_total{{{_FROM_GATEWAY}"
_AT_FAULT = f'sum(rate({_RESULTS}, fault="server"}}{RATE}))'
_OWN = f'{HERE}, component="$recognizer"'
_CALLS = f'{_OWN}, grpc_service="marquee.v1.RecognizerService"'
_IDLE = "The gateway did not call it"
_ELSEWHERE = "No calls; or not a part of this release"
_DOWN = ("recognizer-down",)
_TILES = (
    pods(_OWN, _DOWN),
    restarts(_OWN),
    Tile("Results", "Results to the gateway.", "reqps", f"sum(rate({_RESULTS}}}{RATE}))", _IDLE),
    Tile(
        "Missing",
        "Share of its results that failed by our fault: not by a caller's, nor since a daily cap is spent.",
        "percentunit",
        f"({_AT_FAULT} or vector(0)) / sum(rate({_RESULTS}}}{RATE}))",
        _IDLE,
        _DOWN,
        {0.05: "orange", 0.5: "red"},
        "green",
    ),
    Tile(
        "Latency p95",
        "95 % of its results come sooner, as the gateway sees it.",
        "s",
        quantile(95, "marquee_backend_duration_seconds", _FROM_GATEWAY),
        _IDLE,
        (),
        {1: "orange", 2.5: "red"},
        "green",
    ),
    Tile(
        "Calls in flight",
        "Begun and not ended, in all pods.",
        "none",
        f"sum(marquee_calls_in_flight{{{_OWN}}})",
        "No pods, or no recorded rules",
    ),
)


def dashboard() -> Dashboard:
    """Build the page. The recognizer is a variable: a fourth one needs no dashboard of its own."""
    names = f"label_values(marquee_backend_results_total{{{HERE}}}, recognizer)"
    page = board("recognizer", "Marquee / Recognizer", "One recognizer, from the gateway's side and from its own.")
    page = page.with_variable(choice("recognizer", "Recognizer", names))
    for tile in _TILES:
        page = page.with_panel(tile.panel())
    for part in (_seen_by_gateway, _own, _pods):
        page = part(page)
    return enrollment(page, "Its enrollment", _OWN)


def _seen_by_gateway(page: Dashboard) -> Dashboard:
    outcomes = f"sum by (outcome) (rate({_RESULTS}}}{RATE}))"
    buckets = f"sum by (le) (increase(marquee_backend_duration_seconds_bucket{{{_FROM_GATEWAY}}}{RATE}))"
    percentiles = quantiles("marquee_backend_duration_seconds", _FROM_GATEWAY)
    reasons = f'sum by (fault, reason) (rate({_RESULTS}, fault!=""}}{RATE}))'
    results = stacked("Outcomes", "Its results by outcome.", "reqps", {"{{outcome}}": outcomes}, 6)
    failures = stacked("Failures", "By whose fault, and the reason.", "reqps", {"{{fault}} {{reason}}": reasons}, 6)
    watchers = runbooks(*_DOWN, "rekognition-throttled", "budget-spent")
    percentile = lines("Latency percentiles", "From request to response.", "s", percentiles, 6)
    page = (
        page.with_row(Row("As the gateway sees it"))
        .with_panel(coloured(results, OUTCOMES).no_value(_IDLE).links(watchers))
        .with_panel(coloured(failures, FAULTS).no_value("No failures").links(watchers))
        .with_panel(heat("Latency", "From request to response.", buckets, 6).no_value(_IDLE))
        .with_panel(percentile.no_value(_IDLE))
    )
    return places(page, f'{HERE}, bulkhead="$recognizer"')


def _own(page: Dashboard) -> Dashboard:
    percentiles = quantiles("grpc_server_handling_seconds", f'{_CALLS}, grpc_method="RecognizeImage"')
    outside, inside = (
        f"sum(rate({name}_sum{{{who}}}{RATE})) / sum(rate({name}_count{{{who}}}{RATE}))"
        for name, who in (
            ("marquee_backend_duration_seconds", _FROM_GATEWAY),
            ("grpc_server_handling_seconds", f'{_CALLS}, grpc_method="RecognizeImage"'),
        )
    )
    network = lines("Network", "Mean time that network and connections add.", "s", {"added": f"{outside} - {inside}"})
    return (
        page.with_row(Row("As it sees itself"))
        .with_panel(calls_by_code("By method and code.", _CALLS).no_value(_ELSEWHERE).links(runbooks(*_DOWN)))
        .with_panel(lines("Latency percentiles", "RecognizeImage in its pods.", "s", percentiles).no_value(_ELSEWHERE))
        .with_panel(network.no_value(_ELSEWHERE))
    )


def _pods(page: Dashboard) -> Dashboard:
    flight = f"sum by (pod) (marquee_calls_in_flight{{{_OWN}}})"
    cpu = f"sum by (pod) (rate(process_cpu_seconds_total{{{_OWN}}}{RATE}))"
    calls = f"sum by (pod) (rate(grpc_server_handled_total{{{_CALLS}}}{RATE}))"
    resident = f"sum by (pod) (process_resident_memory_bytes{{{_OWN}}})"
    limit = f"max(marquee_memory_limit_bytes{{{_OWN}}} > 0)"
    age = f"(time() - max by (pod) (process_start_time_seconds{{{_OWN}}}))"
    models = f"{age} * on (pod) group_right () max by (pod, model, version) (marquee_model_info{{{_OWN}}})"
    each = "{{pod}}"
    panels = (
        lines("Calls in flight", "Begun and not ended.", "none", {each: flight}, 6),
        lines("Calls", "Whether pods get equal shares.", "reqps", {each: calls}, 6),
        lines("CPU", "Used by each pod.", "suffix:cores", {each: cpu}, 6),
        limited(
            lines("Memory", "Of each pod. One that reaches the limit is killed.", "bytes", {each: resident}, 6),
            {"limit": limit},
        ),
    )
    page = page.with_row(Row("Its pods"))
    for panel in panels:
        page = page.with_panel(panel.no_value("Not a part of this release"))
    serves = listing("Models", "What each pod serves, and its age.", {"Age": models}, ["pod", "model", "version"], 24)
    return page.with_panel(serves.unit("s").height(5).no_value("No model").links(runbooks("model-stale")))
