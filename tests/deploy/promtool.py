"""The chart's rules for Prometheus, and the programs that check them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from helm import manifests
from helm.generate import CHART
from tests.support import processes

ALERTS = CHART / "alerts"
DAILY_CAP_USD = 25
_VALUES = {"alerts": {"enabled": True, "dailyCapUsd": DAILY_CAP_USD}}


def groups(alerts: dict[str, Any] | None = None, namespace: str = "marquee", release: str = manifests.RELEASE) -> list[dict[str, Any]]:
    """Return the chart's groups of rules."""
    values = {"alerts": _VALUES["alerts"] | (alerts or {})}
    objects = manifests.objects(manifests.render(CHART, values, namespace, release))
    (rule,) = (each for each in objects if each["kind"] == "PrometheusRule")
    groups: list[dict[str, Any]] = rule["spec"]["groups"]
    return groups


def write_rules(path: Path, groups: list[dict[str, Any]]) -> None:
    """Write groups of rules as Prometheus reads them; JSON is valid YAML."""
    path.write_text(json.dumps({"groups": groups}))


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
