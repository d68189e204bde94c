"""Amazon Rekognition: money, quotas and what AWS answers."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from helm.dashboards.panels import HERE, RATE, board, lines, number, stacked

_COST = f"marquee_rekognition_cost_dollars_total{{{HERE}}}"
_CALLS = f"marquee_rekognition_calls_total{{{HERE}}}"


def dashboard() -> Dashboard:
    """Build the page: dollars by operation and against the cap, and calls by outcome."""
    page = board("rekognition", "Marquee / Rekognition", "What Amazon Rekognition costs and answers.")
    return _calls(_money(page))


def _money(page: Dashboard) -> Dashboard:
    day = f"marquee:rekognition_cost_dollars:increase1d{{{HERE}}}"
    today = f"marquee:rekognition_spent_today_dollars{{{HERE}}}"
    cap = f"marquee:rekognition_daily_cap_dollars{{{HERE}}} or marquee:rekognition_cap_dollars{{{HERE}}}"
    hourly = f"3600 * sum(rate({_COST}{RATE}))"
    picture = (
        f"sum(rate({_COST}{RATE}))"
        f' / sum(rate(marquee_backend_results_total{{{HERE}, recognizer="rekognition", outcome=~"ok|partial"}}{RATE}))'
    )
    apis = f"sum by (api) (increase({_COST}[1h]))"
    return (
        page.with_row(Row("Money"))
        .with_panel(number("Today", "Dollars since midnight UTC.", "currencyUSD", today))
        .with_panel(number("Daily cap", "Of the alert, or the recognizer's own. Infinite: none.", "currencyUSD", cap))
        .with_panel(number("Last 24 hours", "Dollars.", "currencyUSD", f"sum({day})"))
        .with_panel(number("Per hour", "Dollars at the current rate.", "currencyUSD", hourly))
        .with_panel(number("Per picture", "Dollars per result.", "currencyUSD", picture))
        .with_panel(stacked("Dollars in the last hour", "By operation.", "currencyUSD", {"{{api}}": apis}))
    )


def _calls(page: Dashboard) -> Dashboard:
    outcomes = f"sum by (outcome) (rate({_CALLS}{RATE}))"
    apis = f"sum by (api) (rate({_CALLS}{RATE}))"
    throttled = f"marquee:rekognition_throttled:ratio_rate5m{{{HERE}}}"
    return (
        page.with_row(Row("Calls (each attempt counts)"))
        .with_panel(stacked("By outcome", "held_back: not sent, to keep a quota.", "reqps", {"{{outcome}}": outcomes}))
        .with_panel(stacked("By operation", "AWS has a quota for each.", "reqps", {"{{api}}": apis}))
        .with_panel(lines("Throttled", "By AWS, or held back here.", "percentunit", {"share": throttled}))
    )
