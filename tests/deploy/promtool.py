"""The chart's rules for Prometheus, and the programs that check them."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from helm import manifests
from helm.generate import CHART
from tests.deploy import charts
from tests.support import processes

ALERTS = CHART / "alerts"
DAILY_CAP_USD = 25
_VALUES: dict[str, Any] = {"alerts": {"enabled": True, "dailyCapUsd": DAILY_CAP_USD}, "library": charts.LIBRARY}


def groups(
    alerts: dict[str, Any] | None = None, namespace: str = "marquee", release: str = manifests.RELEASE
) -> list[dict[str, Any]]:
    """Return the chart's groups of rules, the library's with them."""
    values = _VALUES | {"alerts": _VALUES["alerts"] | (alerts or {})}
    objects = manifests.objects(manifests.render(CHART, values, namespace, release))
    (rule,) = (each for each in objects if each["kind"] == "PrometheusRule")
    groups: list[dict[str, Any]] = rule["spec"]["groups"]
    return groups


def recorded(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the recording rules of the groups."""
    return [rule for group in groups for rule in group["rules"] if "record" in rule]


def write_rules(path: Path, groups: list[dict[str, Any]]) -> None:
    """Write groups of rules as Prometheus reads them; JSON is valid YAML."""
    path.write_text(json.dumps({"groups": groups}))


def check(folder: Path, rules: Sequence[dict[str, Any]], tests: Sequence[dict[str, Any]], every: str = "1m") -> None:
    """Fail the test unless promtool finds the rules to be as its own tests say."""
    write_rules(folder / "rules.json", [{"name": "tested", "rules": list(rules)}])
    cases = {"rule_files": ["rules.json"], "evaluation_interval": every, "tests": list(tests)}
    (folder / "cases.json").write_text(json.dumps(cases))
    run("test", "rules", str(folder / "cases.json"))


def run(*arguments: str) -> str:
    """Return promtool's output; fail the test if promtool reports an error."""
    done = processes.run([program("promtool"), *arguments])
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def program(name: str) -> str:
    """Return the path of a program from Debian's package prometheus; skip the test if it is missing."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is missing: apt-get install prometheus")
    return path
