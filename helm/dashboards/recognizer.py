"""One recognizer closely: what the gateway sees of it, what it sees itself, and its pods."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from helm.dashboards.panels import HERE, RATE, board, choice, heat, lines, listing, quantiles, stacked

_ASKED = f'{HERE}, recognizer="$recognizer"'
_OWN = f'{HERE}, component="$recognizer"'
_CALLS = f'{_OWN}, grpc_service="marquee.v1.RecognizerService"'


def dashboard() -> Dashboard:
    """The recognizer is a variable: a fourth one needs no dashboard of its own."""
    known = 'label_values(marquee_backend_results_total{job="marquee", namespace="$namespace"}, recognizer)'
    page = board("recognizer", "Marquee / Recognizer", "One recognizer, from the gateway's side and from its own.")
    page = page.with_variable(choice("recognizer", "Recognizer", known))
    for part in (_asked, _own, _pods):
        page = part(page)
    return page


def _asked(page: Dashboard) -> Dashboard:
    outcomes = f"sum by (outcome) (rate(marquee_backend_results_total{{{_ASKED}}}{RATE}))"
    buckets = f"sum by (le) (increase(marquee_backend_duration_seconds_bucket{{{_ASKED}}}{RATE}))"
    percentiles = quantiles("marquee_backend_duration_seconds", _ASKED)
    return (
        page.with_row(Row("As the gateway sees it"))
        .with_panel(stacked("Outcomes", "Its results.", "reqps", {"{{outcome}}": outcomes}))
        .with_panel(heat("Latency", "From asking to the answer.", buckets))
        .with_panel(lines("Latency percentiles", "From asking to the answer.", "s", percentiles))
    )


def _own(page: Dashboard) -> Dashboard:
    codes = f"sum by (grpc_method, grpc_code) (rate(grpc_server_handled_total{{{_CALLS}}}{RATE}))"
    percentiles = quantiles("grpc_server_handling_seconds", f'{_CALLS}, grpc_method="RecognizeImage"')
    asked, own = (
        f"sum(rate({name}_sum{{{who}}}{RATE})) / sum(rate({name}_count{{{who}}}{RATE}))"
        for name, who in (
            ("marquee_backend_duration_seconds", _ASKED),
            ("grpc_server_handling_seconds", f'{_CALLS}, grpc_method="RecognizeImage"'),
        )
    )
    return (
        page.with_row(Row("As it sees itself"))
        .with_panel(stacked("Calls", "By method and code.", "reqps", {"{{grpc_method}} {{grpc_code}}": codes}))
        .with_panel(lines("Latency percentiles", "RecognizeImage in its pods.", "s", percentiles))
        .with_panel(
            lines("On the way", "The mean that network and connections add.", "s", {"added": f"{asked} - {own}"})
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
        .with_panel(lines("Calls in flight", "Begun and not ended.", "short", {each: flight}, 6))
        .with_panel(lines("Calls", "Whether pods get like shares.", "reqps", {each: calls}, 6))
        .with_panel(lines("CPU cores", "Used by each pod.", "short", {each: cpu}, 6))
        .with_panel(lines("Memory", "Of each pod.", "bytes", {each: f"process_resident_memory_bytes{{{_OWN}}}"}, 6))
        .with_panel(listing("Models", "What each pod serves.", models, ["pod", "model", "version"], 24))
    )
