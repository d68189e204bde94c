"""What operators read below: enrollment, who may call, files, saturation, versions. A function is a row."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from helm.dashboards.alerts import runbooks
from helm.dashboards.panels import (
    HERE,
    RATE,
    calls_by_code,
    coloured,
    limited,
    lines,
    listing,
    quantile,
    stacked,
    stepped,
)

_EACH = "{{component}}"
_NO_PODS = "No pods"
_RELOADS = {" ok": "green", " refused": "red"}
_QUESTIONS = {"hit": "green", "shared": "blue", "miss": "yellow", "bypassed": "purple"}
_RESIDENT = f"process_resident_memory_bytes{{{HERE}}}"
_SATURATION = (
    (
        "Calls in flight",
        "Begun and not ended; autoscalers read the same rule.",
        "none",
        f"sum by (component) (marquee_calls_in_flight{{{HERE}}})",
        "No recorded rules",
    ),
    (
        "CPU",
        "Of the busiest pod.",
        "suffix:cores",
        f"max by (component) (rate(process_cpu_seconds_total{{{HERE}}}{RATE}))",
        _NO_PODS,
    ),
    (
        "Memory of the limit",
        "Of the fullest pod. A pod that reaches its limit is killed.",
        "percentunit",
        f"max by (component) ({_RESIDENT} / (marquee_memory_limit_bytes{{{HERE}}} > 0))",
        "No pod has a limit",
    ),
    ("Memory", "Of the largest pod.", "bytes", f"max by (component) ({_RESIDENT})", _NO_PODS),
    (
        "Memory for requests",
        "Held by requests in flight, in the pod that holds most; one with too many refuses more of them.",
        "bytes",
        f"max by (component) (marquee_in_flight_bytes{{{HERE}}})",
        _NO_PODS,
    ),
    (
        "Open files",
        "Share of the limit; connections are files.",
        "percentunit",
        f"max by (component) (process_open_fds{{{HERE}}} / process_max_fds{{{HERE}}})",
        _NO_PODS,
    ),
)
"""Title, description, unit, query, and what no data means."""


def enrollment(page: Dashboard, title: str, server: str) -> Dashboard:
    """Add EnrollmentService at the servers that a selector chooses."""
    calls = f'{server}, grpc_service="marquee.v1.EnrollmentService"'
    failed = f'marquee_failed_calls_total{{{server}, fault="server"}}{RATE}'
    methods = f"sum by (grpc_method) (rate(grpc_server_handled_total{{{calls}}}{RATE}))"
    share = f"sum by (grpc_method) (rate({failed})) / {methods}"
    percentile = quantile(95, "grpc_server_handling_seconds", calls, "grpc_method")
    by_code = calls_by_code("EnrollmentService by method and code.", calls)
    errors = lines("Errors", "Share of the calls that failed by our fault.", "percentunit", _by_method(share))
    p95 = lines("Latency p95", "By method.", "s", _by_method(percentile))
    page = page.with_row(Row(title))
    for panel in (by_code, errors, p95):
        page = page.with_panel(panel.no_value("Nobody was enrolled, removed or listed"))
    return page


def cache(page: Dashboard) -> Dashboard:
    """Add what the gateway need not ask for, and what it keeps."""
    by_outcome = f"sum by (outcome) (rate(marquee_cache_requests_total{{{HERE}}}{RATE}))"
    saved = f"sum by (recognizer) (rate(marquee_cache_saved_dollars_total{{{HERE}}}{RATE})) * 3600"
    size = f"max by (component) (marquee_cache_bytes{{{HERE}}})"
    dropped = f"sum by (reason) (rate(marquee_cache_dropped_total{{{HERE}}}{RATE}))"
    questions = stacked(
        "Questions to recognizers",
        "What became of them. shared: a call that was under way for another. bypassed: must not be kept.",
        "reqps",
        {"{{outcome}}": by_outcome},
        6,
    )
    dollars = stacked("Saved", "Dollars an hour that need not be spent.", "currencyUSD", {"{{recognizer}}": saved}, 6)
    memory = lines("Memory of the cache", "Of the pod that keeps most.", "bytes", {_EACH: size}, 6)
    gone = stacked(
        "Answers dropped",
        "full: a larger cache would have kept them. outdated: by another model, or by who is enrolled.",
        "none",
        {"{{reason}}": dropped},
        6,
    )
    page = page.with_row(Row("Cache"))
    for panel, empty in (
        (coloured(questions, _QUESTIONS), "Nobody asked"),
        (dollars, "Nothing was saved"),
        (memory, _NO_PODS),
        (gone, "Nothing was dropped"),
    ):
        page = page.with_panel(panel.no_value(empty))
    return page


def doors(page: Dashboard) -> Dashboard:
    """Add who was not let in."""
    refused = f"sum by (component, reason) (rate(marquee_refused_calls_total{{{HERE}}}{RATE}))"
    sign_ins = f"sum by (outcome) (increase(marquee_sign_ins_total{{{HERE}}}{RATE}))"
    calls = stacked(
        "Refused calls",
        "Calls that their caller may not make. RATE_EXCEEDED: more often than it may.",
        "reqps",
        {"{{component}} {{reason}}": refused},
        12,
    )
    attempts = stacked(
        "Sign-ins", "Attempts to sign in to the page, by outcome.", "none", {"{{outcome}}": sign_ins}, 12
    )
    return (
        page.with_row(Row("Doors"))
        .with_panel(calls.no_value("No call was refused"))
        .with_panel(attempts.no_value("Nobody signed in"))
    )


def files(page: Dashboard) -> Dashboard:
    """Add the files that change while servers run."""
    days = f"min by (component, certificate) (marquee_certificate_expiry_days{{{HERE}}})"
    reloads = f"sum by (component, what, outcome) (increase(marquee_reloads_total{{{HERE}}}[1h]))"
    certificates = lines(
        "Certificates",
        "Days until those that pods use expire. The one of the gateway's host name is cert-manager's to watch.",
        "suffix:days",
        {"{{component}} {{certificate}}": days},
        12,
    )
    changes = stacked(
        "Changes",
        "Changed files that were read again within an hour; one that is refused leaves the old one in use.",
        "none",
        {"{{component}} {{what}} {{outcome}}": reloads},
        12,
    )
    expiring = runbooks("pod-certificate-expiring", "certificate-expiring")
    return (
        page.with_row(Row("Certificates and changed files"))
        .with_panel(limited(certificates, {"alert": "vector(7)"}).no_value("No TLS").links(expiring))
        .with_panel(coloured(changes, _RELOADS).no_value("Nothing is watched").links(runbooks("change-refused")))
    )


def saturation(page: Dashboard) -> Dashboard:
    """Add what pods may run out of."""
    page = page.with_row(Row("Saturation"))
    for title, description, unit, query, empty in _SATURATION:
        panel = lines(title, description, unit, {_EACH: query}).no_value(empty)
        page = page.with_panel(stepped(panel.axis_soft_max(1), {0.9: "red"}) if unit == "percentunit" else panel)
    return places(page, HERE)


def places(page: Dashboard, selector: str) -> Dashboard:
    """Add the places for calls of the bulkheads that a selector chooses, and who found none."""
    taken = f"max by (bulkhead) (marquee_bulkhead_calls{{{selector}}} / marquee_bulkhead_limit{{{selector}}})"
    refused = f"sum by (bulkhead, priority) (rate(marquee_bulkhead_refused_total{{{selector}}}{RATE}))"
    share = lines(
        "Places taken",
        "Share of the gateway's places, and of each recognizer's, that calls hold, in its fullest pod. From three "
        "quarters on, calls of priority batch are refused, and at 1 all.",
        "percentunit",
        {"{{bulkhead}}": taken},
        12,
    )
    without = stacked(
        "Without a place",
        "Calls that were told to try again later, or results that were SHED, by priority.",
        "reqps",
        {"{{bulkhead}} {{priority}}": refused},
        12,
    )
    watchers, empty = runbooks("calls-refused"), "No calls"
    return page.with_panel(
        stepped(share.axis_soft_max(1), {0.75: "orange", 1: "red"}).no_value(empty).links(watchers)
    ).with_panel(without.no_value(empty).links(watchers))


def versions(page: Dashboard) -> Dashboard:
    """Add what runs, and since when."""
    up = f'sum by (component) (up{{{HERE}, endpoint="metrics"}})'
    builds = f"count by (component, version, revision) (marquee_build_info{{{HERE}}})"
    models = f"count by (component, model, version) (marquee_model_info{{{HERE}}})"
    age = f"time() - max by (component) (process_start_time_seconds{{{HERE}}})"
    runs = listing("Builds", "Pods by what they run.", {"Pods": builds}, ["component", "version", "revision"], 6)
    serves = listing("Models", "Pods by the model in use.", {"Pods": models}, ["component", "model", "version"], 6)
    pods = lines("Pods", "Pods that Prometheus reaches.", "none", {_EACH: up}, 6)
    return (
        page.with_row(Row("Versions"))
        .with_panel(runs.no_value(_NO_PODS))
        .with_panel(serves.no_value("No recognizer has a model").links(runbooks("model-stale")))
        .with_panel(pods.no_value(_NO_PODS).links(runbooks("gateway-down", "page-down", "recognizer-down")))
        .with_panel(lines("Youngest pod", "Falls to 0 at a start.", "s", {_EACH: age}, 6).no_value(_NO_PODS))
    )


def _by_method(query: str) -> dict[str, str]:
    return {"{{grpc_method}}": query}
