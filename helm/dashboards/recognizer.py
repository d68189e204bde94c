"""One recognizer in detail: as the gateway sees it, as it sees itself, and its pods."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from helm.dashboards.panels import HERE, RATE, board, choice, heat, lines, listing, quantiles, stacked

_FROM_GATEWAY = f'{HERE}, recognizer="$recognizer"'
_OWN = f'{HERE}, component="$recognizer"'
_CALLS = f'{_OWN}, grpc_service="marquee.v1.RecognizerService"'


def dashboard() -> Dashboard:
    """Build the page. The recognizer is a variable: a fourth one needs no dashboard of its own."""
    names = 'label_values(marquee_backend_results_total{job="marquee", namespace="$namespace"}, recognizer)'
    page = board("recognizer", "Marquee / Recognizer", "One recognizer, from the gateway's side and from its own.")
    page = page.with_variable(choice("recognizer", "Recognizer", names))
    for part in (_seen_by_gateway, _own, _pods):
        page = part(page)
    return page


def _seen_by_gateway(page: Dashboard) -> Dashboard:
    outcomes = f"sum by (outcome) (rate(marquee_backend_results_total{{{_FROM_GATEWAY}}}{RATE}))"
    buckets = f"sum by (le) (increase(marquee_backend_duration_seconds_bucket{{{_FROM_GATEWAY}}}{RATE}))"
    percentiles = quantiles("marquee_backend_duration_seconds", _FROM_GATEWAY)
    return (
        page.with_row(Row("As the gateway sees it"))
        .with_panel(stacked("Outcomes", "Its results.", "reqps", {"{{outcome}}": outcomes}))
        .with_panel(heat("Latency", "From request to response.", buckets))
        .with_panel(lines("Latency percentiles", "From request to response.", "s", percentiles))
    )


def _own(page: Dashboard) -> Dashboard:
    codes = f"sum by (grpc_method, grpc_code) (rate(grpc_server_handled_total{{{_CALLS}}}{RATE}))"
    percentiles = quantiles("grpc_server_handling_seconds", f'{_CALLS}, grpc_method="RecognizeImage"')
    outside, inside = (
        f"sum(rate({name}_sum{{{who}}}{RATE})) / sum(rate({name}_count{{{who}}}{RATE}))"
        for name, who in (
            ("marquee_backend_duration_seconds", _FROM_GATEWAY),
            ("grpc_server_handling_seconds", f'{_CALLS}, grpc_method="RecognizeImage"'),
        )
    )
    return (
        page.with_row(Row("As it sees itself"))
        .with_panel(stacked("Calls", "By method and code.", "reqps", {"{{grpc_method}} {{grpc_code}}": codes}))
        .with_panel(lines("Latency percentiles", "RecognizeImage in its pods.", "s", percentiles))
        .with_panel(
            lines("Network", "Mean time added by network and connections.", "s", {"added": f"{outside} - {inside}"})
        )
    )


def _pods(page: Dashboard) -> Dashboard:
    flight = f"marquee_calls_in_flight{{{_OWN}}}"
    cpu = f"rate(process_cpu_seconds_total{{{_OWN}}}{RATE})"
    calls = f"sum by (pod) (rate(grpc_server_handled_total{{{_CALLS}}}{RATE}))"
    models = f"marquee_model_info{{{_OWN}}}"
    each = "{{pod}}"
    return (
        page.with_row(Row("Its pods"))
        .with_panel(lines("Calls in flight", "Started and not finished.", "short", {each: flight}, 6))
        .with_panel(lines("Calls", "Shows whether pods get equal shares.", "reqps", {each: calls}, 6))
        .with_panel(lines("CPU cores", "Used by each pod.", "short", {each: cpu}, 6))
        .with_panel(lines("Memory", "Of each pod.", "bytes", {each: f"process_resident_memory_bytes{{{_OWN}}}"}, 6))
        .with_panel(listing("Models", "What each pod serves.", models, ["pod", "model", "version"], 24))
    )
