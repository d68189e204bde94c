"""The library: what waits, what becomes of it, and what is asked of it."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from helm.dashboards.alerts import runbooks
from helm.dashboards.panels import (
    HERE,
    RATE,
    calls_by_code,
    coloured,
    limited,
    lines,
    quantile,
    quantiles,
    stacked,
)

_SERVER = f'{HERE}, component="library"'
_CALLS = f'{_SERVER}, grpc_service="marquee.library.v1.LibraryService"'
_ATTEMPTS = f"sum by (outcome) (rate(marquee_library_attempts_total{{{_SERVER}}}{RATE}))"
_NONE = "No library"
_IDLE = "Nobody called the library"
_STATES = {"queued": "blue", "running": "green", "dead": "red"}
_OUTCOMES = {
    "recognized|merged": "green",
    "partial": "yellow",
    "delayed": "blue",
    "trashed": "purple",
    "failed|lost": "orange",
    "dead": "red",
}


_SENT = {"sent": "green", "failed": "yellow", "dead": "red", "lost": "orange", "dropped": "blue"}


def library(page: Dashboard) -> Dashboard:
    """Add the queue, the attempts to recognize what is in it, and the calls."""
    jobs = f"sum by (state) (marquee:library_jobs:max{{{HERE}}})"
    oldest = f"marquee:library_oldest_pending_seconds:max{{{HERE}}}"
    within = {"alert": f"marquee:library_pending:within_seconds{{{HERE}}}"}
    repeated = f"sum(increase(marquee_library_repeated_calls_total{{{_SERVER}}}[1h]))"
    p95 = quantile(95, "grpc_server_handling_seconds", _CALLS, "grpc_method")
    queue = stacked("Queue", "Pictures that wait, are being recognized, or were given up.", "none", {"{{state}}": jobs})
    oldest_panel = lines("Oldest pending", "Age of the picture that has waited longest.", "s", {"age": oldest})
    attempts = stacked(
        "Attempts",
        "What became of attempts to recognize a picture. delayed: the gateway was away or overloaded, which does not "
        "count. dead: given up.",
        "reqps",
        {"{{outcome}}": _ATTEMPTS},
    )
    twice = lines(
        "Repeated calls",
        "Calls to the gateway within an hour that were given up without an answer, as those of a replica that died: "
        "recognizers may be paid for them twice.",
        "none",
        {"repeated": repeated},
        12,
    )
    calls = lines(
        "Calls to the gateway",
        "How long it takes to have a picture recognized, once its turn has come.",
        "s",
        quantiles("marquee_library_call_seconds", _SERVER),
        12,
    )
    sent = stacked(
        "Notifications",
        "What became of attempts to send a notification. failed: it is tried again. dead: given up.",
        "reqps",
        {"{{outcome}}": f"sum by (outcome) (rate(marquee_library_delivery_attempts_total{{{_SERVER}}}{RATE}))"},
        12,
    )
    by_code = calls_by_code("By method and code; AddImage is what is added.", _CALLS, 12)
    waits = runbooks("library-queue-grows", "library-down")
    return (
        page.with_row(Row("The library"))
        .with_panel(coloured(queue, _STATES).no_value(_NONE).links(waits))
        .with_panel(limited(oldest_panel, within).no_value(_NONE).links(runbooks("library-oldest-pending")))
        .with_panel(coloured(attempts, _OUTCOMES).no_value("Nothing was added").links(runbooks("library-dead-letters")))
        .with_panel(by_code.no_value(_IDLE).links(runbooks("library-errors")))
        .with_panel(lines("Latency p95", "By method.", "s", {"{{grpc_method}}": p95}, 12).no_value(_IDLE))
        .with_panel(calls.no_value("Nothing was added"))
        .with_panel(twice.no_value(_NONE))
        .with_panel(coloured(sent, _SENT).no_value("Nobody was notified").links(runbooks("library-notifications-dead")))
    )
