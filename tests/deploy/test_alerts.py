"""Tests that alerts fire when they should, and say what to do."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from helm.generate import ROOT, version
from tests.deploy import charts, manual, promtool
from tests.support import pages

pytestmark = pytest.mark.slow

_CASES = Path(__file__).parent / "alerts"
_ALERTS = sorted(path.stem for path in promtool.ALERTS.glob("*.yaml"))
_RUNBOOKS = ROOT / "docs" / "runbooks"
_SECTIONS = ("## What it means", "## Diagnosis", "## Mitigation", "## Rehearsal")


def _alert(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe", pure=True).load(promtool.ALERTS / f"{name}.yaml")
    return loaded


def _expressions(groups: list[dict[str, Any]]) -> list[str]:
    return [rule["expr"] for group in groups for rule in group["rules"]]


def _with_recorded_rules(alert: str) -> list[dict[str, Any]]:
    """Return the recording rules that the alert reads, and the alert; promtool compares all annotations."""
    groups = promtool.groups()
    rules = [rule for group in groups for rule in group["rules"]]
    (wanted,) = (rule for rule in rules if rule.get("alert") == alert)
    wanted["annotations"] = {"description": wanted["annotations"]["description"]}
    read = {rule["record"]: rule["expr"] for rule in promtool.recorded(groups)}
    names = _read(wanted["expr"])
    names |= {name for each in names for name in _read(read[each])}
    return [rule for rule in rules if rule.get("record") in names] + [wanted]


def _read(expression: str) -> set[str]:
    """Return the recorded rules that the expression reads."""
    return set(re.findall(r"marquee:[a-z0-9_:]+", expression))


def test_prometheus_accepts_the_rules(tmp_path: Path) -> None:
    """All rules that the chart renders are valid, and there are no duplicates."""
    groups = promtool.groups()
    promtool.write_rules(tmp_path / "rules.json", groups)
    output = promtool.run("check", "rules", "--lint=all", "--lint-fatal", str(tmp_path / "rules.json"))
    assert f"{len(_expressions(groups))} rules found" in output


@pytest.mark.parametrize("name", _ALERTS)
def test_alert_fires_and_resolves(tmp_path: Path, name: str) -> None:
    """The alert fires when it should, describes its cause, and is silent otherwise."""
    cases = YAML(typ="safe", pure=True).load(_CASES / f"{name}.yaml")
    rules = _with_recorded_rules(_alert(name)["alert"])
    promtool.check(tmp_path, rules, cases["tests"], cases["evaluation_interval"])


@pytest.mark.parametrize("name", _ALERTS)
def test_alert_has_cases_of_both_kinds(name: str) -> None:
    """The alert's cases show it both firing and silent, and test no other alert."""
    cases = YAML(typ="safe", pure=True).load(_CASES / f"{name}.yaml")
    checks = [check for test in cases["tests"] for check in test["alert_rule_test"]]
    assert {check["alertname"] for check in checks} == {_alert(name)["alert"]}
    assert {bool(check.get("exp_alerts")) for check in checks} == {True, False}


@pytest.mark.parametrize("name", _ALERTS)
def test_alert_says_what_to_do(name: str) -> None:
    """The alert says what is wrong and who is affected, and has a complete runbook."""
    alert = _alert(name)
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert alert["annotations"].keys() == {"summary", "impact", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
    page = (_RUNBOOKS / f"{name}.md").read_text("utf-8")
    assert page.startswith(f"# {alert['alert']}\n")
    assert [line for line in page.splitlines() if line.startswith("## ")] == list(_SECTIONS)


@pytest.mark.parametrize("name", _ALERTS)
def test_runbook_commands_are_valid(name: str) -> None:
    """Bash and kubectl accept the runbook's commands."""
    page = _RUNBOOKS / f"{name}.md"
    for block in manual.blocks(page):
        pages.check_shell(block)
    for command in manual.commands(page, "kubectl"):
        manual.check_kubectl(command)


def test_runbooks_have_alerts() -> None:
    """Every runbook belongs to an alert."""
    assert sorted(path.stem for path in _RUNBOOKS.glob("*.md")) == _ALERTS


def test_installations_are_separate() -> None:
    """Every rule reads only its own installation's pods, so one installation triggers no alerts for another."""
    expressions = [
        text for text in _expressions(promtool.groups(namespace="blue", release="green")) if "certmanager_" not in text
    ]
    for expression in expressions:
        selectors = re.findall(r"\{([^}]*)\}", expression)
        assert expression.startswith("vector(") or selectors
        assert all('job="marquee",namespace="blue",release="green"' in selector for selector in selectors), expression


def test_values_reach_the_rules() -> None:
    """Objectives, the cap, the latency threshold and the runbooks' address are configurable."""
    wanted = {
        "availability": 0.95,
        "latency": {"within": "1.0", "objective": 0.9},
        "minimumFailures": 9,
        "dailyCapUsd": 7,
        "pendingSeconds": 900,
        "runbooks": "https://wiki.example/",
        "without": ["model-stale"],
    }
    groups = promtool.groups(wanted)
    objectives = [rule["expr"] for rule in groups[0]["rules"]]
    assert objectives == [f"vector({value})" for value in ("0.95", "0.9", "9", "1.0", "1", "900", "7")]
    assert 'le="1.0"' in str(groups)
    assert 'le="2.5"' not in str(groups)
    alerts = {rule["alert"]: rule["annotations"]["runbook_url"] for rule in groups[-1]["rules"]}
    assert alerts["MarqueeGatewayDown"] == "https://wiki.example/gateway-down.md"
    assert "MarqueeModelStale" not in alerts


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"availability": 99.9}, "availability"),
        ({"latency": {"within": "3"}}, "within"),
        ({"latency": {"objective": 1}}, "objective"),
        ({"dailyCapUsd": -1}, "dailyCapUsd"),
        ({"without": ["model-stall"]}, "without"),
        ({"runbooks": "https://wiki.example"}, "runbooks"),
        ({"runbooks": "docs/runbooks/"}, "runbooks"),
        ({"minimumFailures": 0}, "minimumFailures"),
    ],
)
def test_wrong_values_are_refused(wrong: dict[str, Any], named: str) -> None:
    """A value with which an alert would fire never, always or nowhere is refused by name."""
    assert named in charts.refusal({"alerts": wrong})


def test_no_budget_of_the_alerts_has_no_rule() -> None:
    """Without a budget of the alert's, there is no rule for one."""
    assert [rule["record"] for rule in promtool.groups({"dailyCapUsd": 0})[0]["rules"]] == [
        "marquee:availability:objective",
        "marquee:latency:objective",
        "marquee:failures:minimum",
        "marquee:latency:within_seconds",
        "marquee:alerts:enabled",
        "marquee:library_pending:within_seconds",
    ]


def test_rules_of_the_library_come_with_it() -> None:
    """Where the chart runs no library, none of its rules is there."""
    rules = charts.one(charts.render({"alerts": {"enabled": True}}), "PrometheusRule", "marquee")
    assert "library_" not in str(rules)
    assert "Library" not in str(rules)


def test_runbooks_are_those_of_the_version() -> None:
    """Unless they are elsewhere, an alert links to its runbook of the chart's version, on GitHub."""
    alerts = {rule["alert"]: rule["annotations"]["runbook_url"] for rule in promtool.groups()[-1]["rules"]}
    base = f"https://github.com/marquee-project/marquee/blob/v{version()}/docs/runbooks"
    assert alerts["MarqueeGatewayDown"] == f"{base}/gateway-down.md"
    assert len(alerts) == len(_ALERTS)


@pytest.mark.parametrize(("spent", "cap", "fires"), [(3.9, "5", 0), (4.1, "5", 1), (4.1, "0", 1), (4.1, "Inf", 0)])
def test_the_recognizers_own_cap_is_the_alerts(tmp_path: Path, spent: float, cap: str, fires: int) -> None:
    """Without a budget of the alert's, it fires at four fifths of what the pods say; all share that one cap."""
    series = {"marquee_rekognition_spent_today_dollars": str(spent), "marquee_rekognition_cap_dollars": cap}
    inputs = [
        {
            "series": f'{name}{{job="marquee",namespace="marquee",release="marquee",pod="{pod}",scope="all"}}',
            "values": f"{value} " * 11,
        }
        for name, value in series.items()
        for pod in "ab"
    ]
    (alert,) = _with_recorded_rules("MarqueeBudgetNear")[-1:]
    alert["annotations"] = {}
    labels = {"severity": "warning", "job": "marquee", "namespace": "marquee", "release": "marquee"}
    check = {"eval_time": "8m", "alertname": "MarqueeBudgetNear", "exp_alerts": [{"exp_labels": labels}] * fires}
    rules = [*promtool.recorded(promtool.groups({"dailyCapUsd": 0})), alert]
    promtool.check(tmp_path, rules, [{"interval": "1m", "input_series": inputs, "alert_rule_test": [check]}])
