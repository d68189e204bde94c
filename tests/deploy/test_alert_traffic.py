"""Tests of which alerts fire when something happens to a whole installation, with little and much traffic."""

from pathlib import Path

import pytest

from services.names import RECOGNIZERS
from tests.deploy import promtool

pytestmark = pytest.mark.slow
Series = dict[str, str | None]
"""Series → one value a minute; None where nothing is scraped."""
_RATES = (27, 1_000, 100_000)
"""Calls an hour."""
_BEFORE, _AFTER = 30, 40
"""Minutes in which all is well, and after it happened."""
_HERE = 'job="marquee",namespace="marquee",release="marquee"'
_CALL = 'grpc_method="RecognizeImage"'
_DOORS = ("gateway", "web")
_BURNS = {"MarqueeAvailabilityBurnsFast", "MarqueeAvailabilityBurnsSlowly"}
_SLOW = {"MarqueeLatencyBurnsFast", "MarqueeLatencyBurnsSlowly"}


def _counter(*phases: tuple[int, float]) -> str:
    """Return a counter's value at each minute, by phases of minutes and events an hour; events are whole."""
    counted, values = 0.0, [0]
    for minutes, hourly in phases:
        for _ in range(minutes):
            counted += hourly / 60
            values.append(int(counted + 1e-6))
    return " ".join(map(str, values))


def _from_now_on(rate: float) -> str:
    return _counter((_BEFORE, 0), (_AFTER, rate))


def _until_now(rate: float) -> str:
    return _counter((_BEFORE, rate), (_AFTER, 0))


_ALWAYS, _ONCE, _GONE = f"1x{_BEFORE + _AFTER}", _counter((_BEFORE, 0), (1, 60), (_AFTER, 0)), f"1x{_BEFORE - 1} stale"


def _up(component: str) -> str:
    return f'up{{{_HERE},component="{component}",endpoint="metrics",pod="{component}-1"}}'


def _result(recognizer: str, outcome: str, reason: str = "", fault: str = "") -> str:
    told = f'recognizer="{recognizer}",outcome="{outcome}",reason="{reason}",fault="{fault}"'
    return f'marquee_backend_results_total{{{_HERE},component="gateway",pod="gateway-1",{told}}}'


def _failed(fault: str) -> str:
    return f'marquee_failed_calls_total{{{_HERE},component="gateway",pod="gateway-1",{_CALL},fault="{fault}"}}'


def _page(code: str) -> str:
    return f'marquee_http_requests_total{{{_HERE},component="web",pod="web-1",route="/",code="{code}"}}'


def _amazon(outcome: str) -> str:
    return f'marquee_rekognition_calls_total{{{_HERE},component="rekognition",pod="rekognition-1",outcome="{outcome}"}}'


def _library_fails(rate: int) -> Series:
    """Return all calls to the library, which fail from now on, as while its database is away."""
    library = f'{_HERE},component="library",pod="library-1",grpc_method="SearchPictures"'
    handled = f'grpc_server_handled_total{{{library},grpc_service="marquee.library.v1.LibraryService"'
    return {
        f'{handled},grpc_code="OK"}}': _until_now(rate),
        f'{handled},grpc_code="UNAVAILABLE"}}': _from_now_on(rate),
        f'marquee_failed_calls_total{{{library},fault="server"}}': _from_now_on(rate),
    }


def _given_up(what: str = "attempts") -> str:
    return f'marquee_library_{what}_total{{{_HERE},component="library",pod="library-1",outcome="dead"}}'


_HANDLED = f'grpc_server_handled_total{{{_HERE},component="gateway",pod="gateway-1",{_CALL},grpc_code="OK"}}'
_TIMED = f'grpc_server_handling_seconds_count{{{_HERE},component="gateway",pod="gateway-1",{_CALL}}}'
_IN_TIME = f'grpc_server_handling_seconds_bucket{{{_HERE},component="gateway",pod="gateway-1",{_CALL},le="2.5"}}'
_SPENT = f'marquee_rekognition_spent_today_dollars{{{_HERE},component="rekognition",pod="rekognition-1",scope="all"}}'


def _healthy(rate: int) -> Series:
    """Return what is scraped while all is well: each call asks every recognizer, the page as many."""
    always = _counter((_BEFORE + _AFTER, rate))
    calls = (_HANDLED, _TIMED, _IN_TIME, _page("200"), _amazon("ok"), *(_result(name, "ok") for name in RECOGNIZERS))
    ups = {_up(name): _ALWAYS for name in ("gateway", "library", "web", *RECOGNIZERS)}
    faults = {_failed(fault): _counter((_BEFORE + _AFTER, 0)) for fault in ("caller", "planned", "server")}
    return {**ups, **dict.fromkeys(calls, always), **faults, _SPENT: f"1x{_BEFORE + _AFTER}"}


def _fails(rate: int, reason: str, fault: str, *recognizers: str) -> Series:
    """Return how these recognizers fail every call from now on."""
    failures = {_result(name, "error", reason, fault): _from_now_on(rate) for name in recognizers}
    return failures | {_result(name, "ok"): _until_now(rate) for name in recognizers}


def _scenarios(rate: int) -> dict[str, tuple[Series, set[str]]]:
    """Return what happens to an installation, and the alerts that fire 40 minutes later."""
    one_by_one = {
        **dict.fromkeys((_failed("server"), _page("500"), _amazon("throttled")), _ONCE),
        _result("svm", "timeout", "RECOGNIZER_TIMEOUT", "server"): _ONCE,
        _IN_TIME: _counter((_BEFORE, rate), (3, rate - 20), (_AFTER - 3, rate)),
    }
    mistakes = {
        _failed("caller"): _from_now_on(rate),
        **_fails(rate, "INVALID_IMAGE", "caller", "svm"),
        **_fails(rate, "OBJECT_FORBIDDEN", "caller", "keras"),
        **_fails(rate, "CALLER_BUDGET_EXHAUSTED", "caller", "rekognition"),
    }
    spent = _fails(rate, "BUDGET_EXHAUSTED", "planned", "rekognition") | {_failed("planned"): _from_now_on(rate)}
    near = {_SPENT: f"1x{_BEFORE - 1} 25x{_AFTER}"}
    outage = {_failed("server"): _from_now_on(rate), **_fails(rate, "OUT_OF_TIME", "server", *RECOGNIZERS)}
    poor = {
        _IN_TIME: _until_now(rate),
        _page("502"): _from_now_on(rate),
        _page("200"): _until_now(rate),
        _amazon("throttled"): _from_now_on(rate / 2),
        _amazon("ok"): _counter((_BEFORE, rate), (_AFTER, rate / 2)),
    }
    return {
        "nothing": ({}, set()),
        "of each kind one call fails, or is slow": (one_by_one, set()),
        "all callers make mistakes": (mistakes, set()),
        "the cap is spent": (spent | near, {"MarqueeBudgetNear", "MarqueeBudgetSpent"}),
        "all recognizers fail": (outage, _BURNS | {"MarqueeRecognizerDown"}),
        "one recognizer fails": (_fails(rate, "MISCONFIGURED", "server", "svm"), {"MarqueeRecognizerDown"}),
        "all is slow or in vain": (poor, _SLOW | {"MarqueePageErrors", "MarqueeRekognitionThrottled"}),
        "gateway and page go": (dict.fromkeys(map(_up, _DOORS), _GONE), {"MarqueeGatewayDown", "MarqueePageDown"}),
        "gateway and page never came": (dict.fromkeys(map(_up, _DOORS)), {"MarqueeGatewayDown", "MarqueePageDown"}),
        "the library's pods go": ({_up("library"): _GONE}, {"MarqueeLibraryDown"}),
        "the library's database goes": (_library_fails(rate), {"MarqueeLibraryErrors"}),
        "the library gives pictures up": ({_given_up(): _from_now_on(rate)}, {"MarqueeLibraryDeadLetters"}),
        "the library gives notifications up": (
            {_given_up("delivery_attempts"): _from_now_on(rate)},
            {"MarqueeLibraryNotificationsDead"},
        ),
        "a recognizer's pods go": (
            {_up("svm"): _GONE, _result("svm", "ok"): _until_now(rate)},
            {"MarqueeRecognizerDown"},
        ),
        "a recognizer answers, but has no metrics": ({_up("svm"): None}, set()),
    }


def _firing(minute: int, alerts: set[str]) -> dict[str, object]:
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(alerts)]
    query = 'group by (alertname) (ALERTS{alertstate="firing"})'
    return {"expr": query, "eval_time": f"{minute}m", "exp_samples": samples}


@pytest.mark.parametrize("rate", _RATES)
def test_the_right_alerts_fire(tmp_path: Path, rate: int) -> None:
    """At any rate of calls, these alerts fire 40 minutes after it happens, and no others do, or before."""
    tests = []
    for name, (changes, alerts) in _scenarios(rate).items():
        series = {**_healthy(rate), **changes}
        missing = alerts if "never came" in name else set()
        tests.append(
            {
                "name": name,
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items() if values],
                "promql_expr_test": [
                    _firing(9, set()),
                    _firing(_BEFORE - 1, missing),
                    _firing(_BEFORE + _AFTER, alerts),
                ],
            }
        )
    rules = [rule for group in promtool.groups() for rule in group["rules"]]
    promtool.check(tmp_path, rules, tests)


@pytest.mark.parametrize("rate", _RATES)
def test_a_slow_burn_is_a_warning_at_any_rate(tmp_path: Path, rate: int) -> None:
    """One call in 200 that fails, for three days, is too many for the month, but pages nobody."""
    interval = 15
    calls, failures = (_counter((3 * 24 * 60, hourly)).split()[::interval] for hourly in (rate, rate / 200))
    series = {_HANDLED: " ".join(calls), _failed("server"): " ".join(failures)}
    check = {
        "expr": 'group by (alertname) (max_over_time(ALERTS{alertstate="firing"}[12h]))',
        "eval_time": "3d",
        "exp_samples": [{"labels": '{alertname="MarqueeAvailabilityBurnsSlowly"}', "value": 1}],
    }
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    test = {"interval": f"{interval}m", "input_series": inputs, "promql_expr_test": [check]}
    groups = promtool.groups()
    burns = [rule for group in groups for rule in group["rules"] if rule.get("alert") in _BURNS]
    promtool.check(tmp_path, [*promtool.recorded(groups), *burns], [test], every=f"{interval}m")
