"""The first page: what callers get, what it costs, and what is about to run out."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from helm.dashboards.panels import HERE, RATE, board, heat, lines, listing, number, quantiles, stacked

_CALLS = f'{HERE}, component="gateway", grpc_service="marquee.v1.RecognizerService"'
_RECOGNIZE = f'{_CALLS}, grpc_method=~"RecognizeImage|StreamRecognizeImage"'


def dashboard() -> Dashboard:
    """Build the page: traffic, errors, latency, outcomes, verdicts, dollars, visitors, saturation, versions, files."""
    page = board("overview", "Marquee / Overview", "What callers get, what it costs, and what is about to run out.")
    for part in (_tiles, _traffic, _recognizers, _answers, _page, _saturation, _versions, _files):
        page = part(page)
    return page


def _tiles(page: Dashboard) -> Dashboard:
    handled = f"sum(rate(grpc_server_handled_total{{{_RECOGNIZE}}}{RATE}))"
    seconds = f"sum by (le) (rate(grpc_server_handling_seconds_bucket{{{_RECOGNIZE}}}{RATE}))"
    spent = f"sum(marquee:rekognition_cost_dollars:increase1d{{{HERE}}})"
    allowed = f"(1 - marquee:availability:objective{{{HERE}}})"
    left = f"1 - marquee:gateway_errors:ratio_rate3d{{{HERE}}} / {allowed}"
    pods = f'count(up{{{HERE}, endpoint="metrics"}} == 1)'
    errors = f"marquee:gateway_errors:ratio_rate5m{{{HERE}}}"
    return (
        page.with_panel(number("Pictures", "RecognizeImage calls to the gateway.", "reqps", handled))
        .with_panel(
            number(
                "Failed",
                "Calls of the last 5 minutes that Marquee failed.",
                "percentunit",
                errors,
            )
        )
        .with_panel(number("p95", "95 % of calls are faster.", "s", f"histogram_quantile(0.95, {seconds})"))
        .with_panel(number("Error budget left", "Of the last 3 days; below 0 it is overdrawn.", "percentunit", left))
        .with_panel(number("Rekognition", "Dollars in the last 24 hours.", "currencyUSD", spent))
        .with_panel(number("Pods", "Pods that Prometheus scrapes.", "short", pods))
    )


def _traffic(page: Dashboard) -> Dashboard:
    calls = f"sum by (grpc_method, grpc_code) (rate(grpc_server_handled_total{{{_CALLS}}}{RATE}))"
    buckets = f"sum by (le) (increase(grpc_server_handling_seconds_bucket{{{_RECOGNIZE}}}{RATE}))"
    shares = {
        "failed": f"marquee:gateway_errors:ratio_rate5m{{{HERE}}}",
        "slow": f"marquee:gateway_slow:ratio_rate5m{{{HERE}}}",
    }
    return (
        page.with_row(Row("Traffic, errors, latency"))
        .with_panel(stacked("Calls", "By method and code.", "reqps", {"{{grpc_method}} {{grpc_code}}": calls}, 6))
        .with_panel(lines("Failed and slow", "What the service level objectives count.", "percentunit", shares, 6))
        .with_panel(heat("Latency", "RecognizeImage as callers see it.", buckets, 6))
        .with_panel(
            lines(
                "Latency percentiles",
                "RecognizeImage as callers see it.",
                "s",
                quantiles("grpc_server_handling_seconds", _RECOGNIZE),
                6,
            )
        )
    )


def _recognizers(page: Dashboard) -> Dashboard:
    percentiles = quantiles("marquee_backend_duration_seconds", HERE, "recognizer")
    outcomes = f"sum by (recognizer, outcome) (rate(marquee_backend_results_total{{{HERE}}}{RATE}))"
    page = page.with_row(Row("Recognizers, as the gateway sees them"))
    for legend, query in percentiles.items():
        title = f"Latency {legend.rpartition(' ')[2]}"
        page = page.with_panel(lines(title, "From request to response.", "s", {"{{recognizer}}": query}, 6))
    return page.with_panel(
        stacked("Outcomes", "Results by recognizer and outcome.", "reqps", {"{{recognizer}} {{outcome}}": outcomes}, 6)
    )


def _answers(page: Dashboard) -> Dashboard:
    verdicts = f"sum by (state) (rate(marquee_verdicts_total{{{HERE}}}{RATE}))"
    dollars = f"3600 * sum by (api) (rate(marquee_rekognition_cost_dollars_total{{{HERE}}}{RATE}))"
    calls = f"sum by (outcome) (rate(marquee_rekognition_calls_total{{{HERE}}}{RATE}))"
    return (
        page.with_row(Row("Answers and money"))
        .with_panel(stacked("Verdicts", "Faces by verdict.", "short", {"{{state}}": verdicts}))
        .with_panel(stacked("Dollars per hour", "Rekognition, by operation.", "currencyUSD", {"{{api}}": dollars}))
        .with_panel(stacked("Calls to Rekognition", "Each attempt counts.", "reqps", {"{{outcome}}": calls}))
    )


def _page(page: Dashboard) -> Dashboard:
    visits = f'{HERE}, component="web", route!~"/livez|/readyz"'
    requests = f"sum by (route, code) (rate(marquee_http_requests_total{{{visits}}}{RATE}))"
    seconds = f"sum by (le, route) (rate(marquee_http_request_duration_seconds_bucket{{{visits}}}{RATE}))"
    uploads = f"sum by (pod) (marquee_uploads_in_flight{{{HERE}}})"
    sign_ins = f"sum by (outcome) (increase(marquee_sign_ins_total{{{HERE}}}{RATE}))"
    return (
        page.with_row(Row("The page and the HTTP API"))
        .with_panel(stacked("Requests", "By route and status.", "reqps", {"{{route}} {{code}}": requests}, 6))
        .with_panel(
            lines(
                "Request p95",
                "Until all of the answer is sent.",
                "s",
                {"{{route}}": f"histogram_quantile(0.95, {seconds})"},
                6,
            )
        )
        .with_panel(lines("Uploads", "Received or answered, by pod.", "short", {"{{pod}}": uploads}, 6))
        .with_panel(stacked("Sign-ins", "Attempts, by outcome.", "short", {"{{outcome}}": sign_ins}, 6))
    )


def _saturation(page: Dashboard) -> Dashboard:
    flight = f"sum by (component) (marquee_calls_in_flight{{{HERE}}})"
    cpu = f"max by (component) (rate(process_cpu_seconds_total{{{HERE}}}{RATE}))"
    memory = f"max by (component) (process_resident_memory_bytes{{{HERE}}})"
    files = f"max by (component) (process_open_fds{{{HERE}}} / process_max_fds{{{HERE}}})"
    each = "{{component}}"
    return (
        page.with_row(Row("Saturation"))
        .with_panel(lines("Calls in flight", "Started and not finished.", "short", {each: flight}, 6))
        .with_panel(lines("CPU cores", "Of the busiest pod.", "short", {each: cpu}, 6))
        .with_panel(lines("Memory", "Of the largest pod.", "bytes", {each: memory}, 6))
        .with_panel(lines("Open files", "Share of the limit; connections are files.", "percentunit", {each: files}, 6))
    )


def _versions(page: Dashboard) -> Dashboard:
    models = f"count by (component, model, version) (marquee_model_info{{{HERE}}})"
    up = f'sum by (component) (up{{{HERE}, endpoint="metrics"}})'
    started = f"time() - max by (component) (process_start_time_seconds{{{HERE}}})"
    return (
        page.with_row(Row("Versions"))
        .with_panel(listing("Models", "Pods by model in use.", models, ["component", "model", "version"], 12))
        .with_panel(lines("Pods", "Pods that Prometheus scrapes.", "short", {"{{component}}": up}, 6))
        .with_panel(lines("Youngest pod", "Falls to 0 at a restart.", "s", {"{{component}}": started}, 6))
    )


def _files(page: Dashboard) -> Dashboard:
    days = f"min by (component, certificate) (marquee_certificate_expiry_days{{{HERE}}})"
    reloads = f"sum by (component, what, outcome) (increase(marquee_reloads_total{{{HERE}}}{RATE}))"
    return (
        page.with_row(Row("Certificates and changed files"))
        .with_panel(lines("Certificates", "Days until they expire.", "d", {"{{component}} {{certificate}}": days}, 12))
        .with_panel(
            lines(
                "Changes",
                "Changed files that were read again; one that is refused leaves the old one in use.",
                "short",
                {"{{component}} {{what}} {{outcome}}": reloads},
                12,
            )
        )
    )
