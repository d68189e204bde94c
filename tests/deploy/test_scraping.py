"""Tests of how Prometheus finds the pods: with and without an operator, with the same labels."""

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from helm.generate import CHART, ROOT
from tests.deploy import charts, manual, promtool
from tests.support import pages

_PAGE = ROOT / "docs" / "monitoring.md"
_SCRAPE = ROOT / "deploy" / "prometheus" / "scrape.yaml"


def _scrape() -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe", pure=True).load(_SCRAPE)
    return loaded


def test_prometheus_accepts_the_entry(tmp_path: Path) -> None:
    """Prometheus accepts the entry for use without an operator."""
    entry = _scrape()
    assert entry.pop("kubernetes_sd_configs") == [{"role": "pod"}]  # which Debian's build does not support
    entry["static_configs"] = [{"targets": ["127.0.0.1:9"]}]
    YAML(typ="safe", pure=True).dump({"scrape_configs": [entry]}, tmp_path / "prometheus.yaml")
    promtool.run("check", "config", str(tmp_path / "prometheus.yaml"))


def test_both_ways_give_the_same_labels() -> None:
    """With and without an operator, targets have the labels that dashboards and alerts select by."""
    monitor = charts.one(charts.render({"podMonitor": {"enabled": True}}), "PodMonitor", "marquee")
    set_by_operator = {"namespace", "pod", "endpoint"}
    for endpoint in monitor["spec"]["podMetricsEndpoints"]:
        labels = {rule["targetLabel"] for rule in endpoint["relabelings"]}
        assert labels == {"job", "release", "component"}
    entry = _scrape()
    targets = {rule["target_label"] for rule in entry["relabel_configs"] if "target_label" in rule}
    assert targets - {"__metrics_path__"} == {"release", "component"} | set_by_operator
    assert entry["job_name"] == "marquee"


def test_scraped_ports_exist() -> None:
    """The pods have ports with the scraped names."""
    rendered = charts.render()
    containers = [
        container
        for name in charts.names(rendered, "Deployment")
        for container in charts.containers(charts.pod(rendered, name)).values()
    ]
    ports = {port["name"] for container in containers for port in container.get("ports", [])}
    assert ports == {"grpc", "http", "metrics", "serving", "serving-http"}


def test_manual_lists_every_alert() -> None:
    """The table of alerts has each alert with its severity, and no others."""
    rows = re.findall(r"^\| (Marquee\w+) \| (\w+) \| \[.*\]\(runbooks/(.+)\.md\) \|$", _PAGE.read_text(), re.MULTILINE)
    yaml = YAML(typ="safe", pure=True)
    files = {path.stem: yaml.load(path) for path in (CHART / "alerts").glob("*.yaml")}
    assert sorted(rows) == sorted((alert["alert"], alert["labels"]["severity"], name) for name, alert in files.items())


def test_manual_commands_are_valid() -> None:
    """Bash accepts the manual's commands."""
    for block in manual.blocks(_PAGE):
        pages.check_shell(block)
