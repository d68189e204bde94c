"""The first page: is it up, does it fail, is it slow, what does it cost; then why."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from helm.dashboards.alerts import FIRING, runbooks, timeline
from helm.dashboards.board import board
from helm.dashboards.library import library
from helm.dashboards.operation import cache, doors, enrollment, files, saturation, versions
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
    linked,
    quantile,
    quantiles,
    stacked,
    stepped,
)
from helm.dashboards.rekognition import CAP, CAPPED, TODAY
from helm.dashboards.tiles import Tile, pods, restarts

_GATEWAY = f'{HERE}, component="gateway"'
_CALLS = f'{_GATEWAY}, grpc_service="marquee.v1.RecognizerService"'
_METHODS = 'grpc_method=~"RecognizeImage|StreamRecognizeImage"'
_RECOGNIZE = f"{_CALLS}, {_METHODS}"
_RESULTS = f"marquee_backend_results_total{{{HERE}"
_AT_FAULT = f'{_RESULTS}, fault="server"}}'
_UP = f'up{{{HERE}, endpoint="metrics"}} == 1'
_EXPECTED = f"marquee:component:expected{{{HERE}}}"
_ERRORS, _SLOW = (f"marquee:gateway_{what}:ratio_rate" for what in ("errors", "slow"))
_ERRORS_ALLOWED = f"(1 - marquee:availability:objective{{{HERE}}})"
_SLOW_ALLOWED = f"(1 - marquee:latency:objective{{{HERE}}})"
_DOWN = ("gateway-down", "library-down", "page-down", "recognizer-down")
_AVAILABILITY = ("availability-burns-fast", "availability-burns-slowly")
_LATENCY = ("latency-burns-fast", "latency-burns-slowly")
_IDLE = "No calls"
_NO_RULES = "No calls, or no recorded rules"
_NO_REKOGNITION = "Rekognition was not called"
_LEFT = {0: "orange", 0.25: "green"}
_NOW = (
    Tile(
        "Components down",
        "Components of which Prometheus reaches no pod.",
        "none",
        f"sum({_EXPECTED}) - (count({_EXPECTED} and on (component) ({_UP})) or vector(0))",
        "No recorded rules",
        _DOWN,
        {1: "red"},
        "green",
    ),
    Tile(
        "Alerts",
        "Alerts that fire; below is which.",
        "none",
        f"count({FIRING}) or 0 * marquee:alerts:enabled{{{HERE}}}",
        "alerts.enabled is off",
        (),
        {1: "red"},
        "green",
    ),
    Tile(
        "Pictures",
        "RecognizeImage calls that ended, however they did.",
        "reqps",
        f"sum(rate(grpc_server_handled_total{{{_RECOGNIZE}}}{RATE}))",
        _IDLE,
    ),
    Tile(
        "Failed",
        "Share of the last 5 minutes' calls that Marquee failed. Red would use up the error budget of a month, "
        "0.1 % of the calls, within two days.",
        "percentunit",
        f"{_ERRORS}5m{{{HERE}}}",
        _IDLE,
        _AVAILABILITY,
        {0.001: "orange", 0.0144: "red"},
        "green",
    ),
    Tile(
        "Latency p95",
        "95 % of the calls are faster. The objective is that 99 % take at most 2.5 s.",
        "s",
        quantile(95, "grpc_server_handling_seconds", _RECOGNIZE),
        _IDLE,
        _LATENCY,
        {1: "orange", 2.5: "red"},
        "green",
    ),
    Tile(
        "Dollars today",
        "What Rekognition cost since midnight UTC.",
        "currencyUSD",
        TODAY,
        "No Rekognition",
        CAPPED,
        decimals=2,
    ),
)
_BEHIND = (
    pods(HERE, _DOWN),
    restarts(HERE),
    Tile(
        "Results missing",
        "Share of the recognizers' results that failed by our fault, not a caller's, nor since a cap is spent.",
        "percentunit",
        f"(sum(rate({_AT_FAULT}{RATE})) or vector(0)) / sum(rate({_RESULTS}}}{RATE}))",
        _IDLE,
        ("recognizer-down",),
        {0.05: "orange", 0.5: "red"},
        "green",
    ),
    Tile(
        "Error budget left",
        "Of the last 3 days; below 0 it is overdrawn.",
        "percentunit",
        f"1 - {_ERRORS}3d{{{HERE}}} / {_ERRORS_ALLOWED}",
        _NO_RULES,
        _AVAILABILITY,
        _LEFT,
        "red",
    ),
    Tile(
        "Latency budget left",
        "Of the last 3 days; below 0 it is overdrawn.",
        "percentunit",
        f"1 - {_SLOW}3d{{{HERE}}} / {_SLOW_ALLOWED}",
        _NO_RULES,
        _LATENCY,
        _LEFT,
        "red",
    ),
    Tile(
        "Daily cap used",
        "Once all of Rekognition's daily cap is used, it is not called until midnight UTC. 0 without a cap.",
        "percentunit",
        f"{TODAY} / on () {CAP}",
        "No Rekognition",
        CAPPED,
        {0.8: "orange", 1: "red"},
        "green",
    ),
)


def dashboard(alerts: list[str]) -> Dashboard:
    """Build the page. Takes the names of all alerts."""
    page = board("overview", "Marquee / Overview", "What callers get, what it costs, and what is about to run out.")
    for tile in (*_NOW, *_BEHIND):
        page = page.with_panel(tile.panel())
    page = page.with_panel(timeline(alerts))
    for part in (_traffic, _latency, _recognizers, _answers, _page):
        page = part(page)
    page = enrollment(page, "Enrollment", _GATEWAY)
    for part in (library, cache, doors, files, saturation, versions):
        page = part(page)
    return page


def _traffic(page: Dashboard) -> Dashboard:
    faults = f"sum by (fault) (rate(marquee_failed_calls_total{{{_GATEWAY}, {_METHODS}}}{RATE}))"
    by_fault = stacked(
        "Failures",
        "By whose fault. caller: what it got wrong, gave up or asked for too often. planned: a daily cap is spent.",
        "reqps",
        {"{{fault}}": faults},
        6,
    )
    failed = lines(
        "Failed",
        "Share of the calls that failed by our fault.",
        "percentunit",
        {"of 5 minutes": f"{_ERRORS}5m{{{HERE}}}", "of an hour": f"{_ERRORS}1h{{{HERE}}}"},
        6,
    )
    burn = lines(
        "Error budget's burn rate",
        "1 uses the budget up in exactly a month. Alerts fire from 14.4 over an hour, or 6 over six.",
        "none",
        {span: f"{_ERRORS}{span}{{{HERE}}} / {_ERRORS_ALLOWED}" for span in ("1h", "6h", "3d")},
        6,
    )
    watchers = runbooks(*_AVAILABILITY)
    return (
        page.with_row(Row("Traffic and errors"))
        .with_panel(calls_by_code("By method and code.", _CALLS, 6).no_value(_IDLE))
        .with_panel(coloured(by_fault, FAULTS).no_value(_IDLE).links(watchers))
        .with_panel(
            limited(failed.axis_soft_max(0.005), {"allowed": _ERRORS_ALLOWED}).no_value(_NO_RULES).links(watchers)
        )
        .with_panel(stepped(burn, {1: "orange", 14.4: "red"}).no_value(_NO_RULES).links(watchers))
    )


def _latency(page: Dashboard) -> Dashboard:
    buckets = f"sum by (le) (increase(grpc_server_handling_seconds_bucket{{{_RECOGNIZE}}}{RATE}))"
    percentiles = quantiles("grpc_server_handling_seconds", _RECOGNIZE)
    within = {"objective for 99 %": f"marquee:latency:within_seconds{{{HERE}}}"}
    slow = lines(
        "Slow",
        "Share of the RecognizeImage calls that took longer than the objective.",
        "percentunit",
        {"of 5 minutes": f"{_SLOW}5m{{{HERE}}}", "of an hour": f"{_SLOW}1h{{{HERE}}}"},
    )
    watchers = runbooks(*_LATENCY)
    return (
        page.with_row(Row("Latency, as callers see it"))
        .with_panel(heat("Latency", "RecognizeImage calls by their duration.", buckets).no_value(_IDLE).links(watchers))
        .with_panel(
            limited(lines("Latency percentiles", "Of RecognizeImage.", "s", percentiles), within)
            .no_value(_IDLE)
            .links(watchers)
        )
        .with_panel(limited(slow.axis_soft_max(0.02), {"allowed": _SLOW_ALLOWED}).no_value(_NO_RULES).links(watchers))
    )


def _recognizers(page: Dashboard) -> Dashboard:
    outcomes = f"sum by (recognizer, outcome) (rate({_RESULTS}}}{RATE}))"
    missing = (
        f"(sum by (recognizer) (rate({_AT_FAULT}{RATE})) or 0 * sum by (recognizer) (rate({_RESULTS}}}{RATE})))"
        f" / sum by (recognizer) (rate({_RESULTS}}}{RATE}))"
    )
    p95 = quantile(95, "marquee_backend_duration_seconds", HERE, "recognizer")
    each = "{{recognizer}}"
    panels = (
        coloured(
            stacked("Outcomes", "Results by recognizer and outcome.", "reqps", {f"{each} {{{{outcome}}}}": outcomes}),
            OUTCOMES,
        ),
        lines("Missing", "Share of its results that failed by our fault.", "percentunit", {each: missing}),
        lines("Latency p95", "From the gateway's request to the response.", "s", {each: p95}),
    )
    page = page.with_row(Row("Recognizers, as the gateway sees them"))
    watchers = runbooks("recognizer-down", "rekognition-throttled", "budget-spent")
    for panel in panels:
        shown = linked(panel, "recognizer", "&var-recognizer=${__field.labels.recognizer}")
        page = page.with_panel(shown.no_value(_IDLE).links(watchers))
    return page


def _answers(page: Dashboard) -> Dashboard:
    verdicts = f"sum by (state) (rate(marquee_verdicts_total{{{HERE}}}{RATE}))"
    dollars = f"3600 * sum by (api) (rate(marquee_rekognition_cost_dollars_total{{{HERE}}}{RATE}))"
    states = coloured(stacked("Verdicts", "Faces by verdict.", "suffix:faces/s", {"{{state}}": verdicts}), _STATES)
    hourly = stacked("Dollars per hour", "Rekognition's, by operation.", "currencyUSD", {"{{api}}": dollars})
    today = lines("Dollars today", "Since midnight UTC, and the cap.", "currencyUSD", {"spent": TODAY})
    policies = f"sum by (policy) (rate(marquee_policy_calls_total{{{HERE}}}{RATE}))"
    saved = {
        f"by {what}": f"3600 * (sum(rate(marquee_{name}_saved_dollars_total{{{HERE}}}{RATE})) or vector(0))"
        for what, name in (("policies", "policy"), ("the cache", "cache"))
    }
    chosen = stacked("Policies", "Calls by the policy that they asked for.", "reqps", {"{{policy}}": policies}, 12)
    spared = stacked(
        "Dollars saved per hour",
        "What calls did not cost, as a policy was sure before Rekognition was asked, or the cache had its answer.",
        "currencyUSD",
        saved,
        12,
    )
    watchers = runbooks(*CAPPED)
    return (
        page.with_row(Row("Answers and money"))
        .with_panel(states.no_value("No faces"))
        .with_panel(linked(hourly, "rekognition").no_value(_NO_REKOGNITION).links(watchers))
        .with_panel(
            limited(linked(today, "rekognition"), {"cap": f"{CAP} < Inf"}).no_value("No Rekognition").links(watchers)
        )
        .with_panel(chosen.no_value(_IDLE))
        .with_panel(spared.no_value("No calls, or none that were answered"))
    )


_STATES = {"identified": "green", "unknown": "blue", "disagree": "orange", "no_face": "purple"}


def _page(page: Dashboard) -> Dashboard:
    visits = f'{HERE}, component="web", route!~"/livez|/readyz"'
    requests = f"sum by (route, code) (rate(marquee_http_requests_total{{{visits}}}{RATE}))"
    failed = f'marquee_http_requests_total{{{visits}, code=~"5.."}}[5m]'
    all_of_them = f"sum(rate(marquee_http_requests_total{{{visits}}}[5m]))"
    share = f"(sum(rate({failed})) or 0 * {all_of_them}) / {all_of_them}"
    uploads = f"sum by (pod) (marquee_uploads_in_flight{{{HERE}}})"
    p95 = {"{{route}}": quantile(95, "marquee_http_request_duration_seconds", visits, "route")}
    empty, watchers = "Nobody opened the page", runbooks("page-errors", "page-down")
    codes = {" 2..": "green", " 3..": "blue", " 4..": "yellow", " 5..": "red"}
    by_code = coloured(stacked("Requests", "By route and status.", "reqps", {"{{route}} {{code}}": requests}, 6), codes)
    errors = lines(
        "Failed", "Share of the last 5 minutes' requests that ended in a 5xx.", "percentunit", {"5xx": share}, 6
    )
    return (
        page.with_row(Row("The page and the HTTP API"))
        .with_panel(by_code.no_value(empty).links(watchers))
        .with_panel(stepped(errors, {0.05: "red"}).no_value(empty).links(watchers))
        .with_panel(lines("Latency p95", "Until all of the answer is sent.", "s", p95, 6).no_value(empty))
        .with_panel(
            lines("Uploads", "Received or answered, by pod.", "none", {"{{pod}}": uploads}, 6).no_value("No page")
        )
    )
