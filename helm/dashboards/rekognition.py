"""Amazon Rekognition: money, quotas and what AWS answers."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from helm.dashboards.alerts import runbooks
from helm.dashboards.board import board
from helm.dashboards.panels import HERE, RATE, coloured, limited, lines, stacked, stepped
from helm.dashboards.tiles import Tile

TODAY = f"marquee:rekognition_spent_today_dollars{{{HERE}}}"
"""Dollars since midnight UTC."""
CAP = f"(marquee:rekognition_daily_cap_dollars{{{HERE}}} or marquee:rekognition_cap_dollars{{{HERE}}})"
"""The daily cap in dollars: the alert's if it has one, otherwise the recognizer's own."""
CAPPED = ("budget-near", "budget-spent")
"""Alerts that the cap is nearly spent, or is."""
_COST = f"marquee_rekognition_cost_dollars_total{{{HERE}}}"
_CALLS = f"marquee_rekognition_calls_total{{{HERE}}}"
_HOURLY = f"sum(rate({_COST}{RATE}))"
_RESULTS = f'marquee_backend_results_total{{{HERE}, recognizer="rekognition", outcome=~"ok|partial"}}'
_NONE = "Rekognition was not called"
_NO_RULES = "No Rekognition, or no recorded rules"
_OUTCOMES = {"ok": "green", "held_back": "yellow", "throttled": "orange", "refused": "purple", "failed": "red"}
_TILES = (
    Tile("Today", "Dollars since midnight UTC.", "currencyUSD", TODAY, _NO_RULES, CAPPED, decimals=2),
    Tile(
        "Daily cap",
        "Of the alert, or the recognizer's own. ∞: none.",
        "currencyUSD",
        CAP,
        _NO_RULES,
        CAPPED,
        decimals=2,
    ),
    Tile(
        "Cap used",
        "Once all is used, Rekognition is not called until midnight UTC. 0 without a cap.",
        "percentunit",
        f"{TODAY} / on () {CAP}",
        _NO_RULES,
        CAPPED,
        {0.8: "orange", 1: "red"},
        "green",
    ),
    Tile(
        "Last 24 hours",
        "Dollars.",
        "currencyUSD",
        f"sum(marquee:rekognition_cost_dollars:increase1d{{{HERE}}})",
        _NO_RULES,
        decimals=2,
    ),
    Tile("Per hour", "Dollars at the current rate.", "currencyUSD", f"3600 * {_HOURLY}", _NONE, decimals=2),
    Tile(
        "Per picture",
        "Dollars a result that the gateway got.",
        "currencyUSD",
        f"{_HOURLY} / sum(rate({_RESULTS}{RATE}))",
        _NONE,
        decimals=4,
    ),
)


def dashboard() -> Dashboard:
    """Build the page: dollars by operation and against the cap, and calls by outcome."""
    page = board("rekognition", "Marquee / Rekognition", "What Amazon Rekognition costs and answers.")
    for tile in _TILES:
        page = page.with_panel(tile.panel())
    return _calls(_money(page))


def _money(page: Dashboard) -> Dashboard:
    apis = f"sum by (api) (increase({_COST}[1h]))"
    today = lines(
        "Today",
        "Dollars since midnight UTC. The alert fires at four fifths of the cap.",
        "currencyUSD",
        {"spent": TODAY},
        12,
    )
    caps = {"cap": f"{CAP} < Inf", "alert": f"0.8 * {CAP} < Inf"}
    hour = stacked("Dollars in the last hour", "By operation.", "currencyUSD", {"{{api}}": apis}, 12)
    return (
        page.with_row(Row("Money"))
        .with_panel(limited(today, caps).no_value(_NO_RULES).links(runbooks(*CAPPED)))
        .with_panel(hour.no_value(_NONE))
    )


def _calls(page: Dashboard) -> Dashboard:
    outcomes = f"sum by (outcome) (rate({_CALLS}{RATE}))"
    apis = f"sum by (api) (rate({_CALLS}{RATE}))"
    share = f"marquee:rekognition_throttled:ratio_rate5m{{{HERE}}}"
    by_outcome = stacked("By outcome", "held_back: not sent, to keep a quota.", "reqps", {"{{outcome}}": outcomes})
    by_api = stacked("By operation", "AWS has a quota for each.", "reqps", {"{{api}}": apis})
    throttled = lines(
        "Throttled", "Share refused by AWS, or held back here. The alert fires at 5 %.", "percentunit", {"share": share}
    )
    watchers = runbooks("rekognition-throttled")
    return (
        page.with_row(Row("Calls (each attempt counts)"))
        .with_panel(coloured(by_outcome, _OUTCOMES).no_value(_NONE).links([*watchers, *runbooks("recognizer-down")]))
        .with_panel(by_api.no_value(_NONE).links(watchers))
        .with_panel(stepped(throttled, {0.05: "red"}).no_value(_NO_RULES).links(watchers))
    )
