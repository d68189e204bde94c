"""How Prometheus finds the pods: with an operator or without, with the same labels."""

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from helm.generate import CHART, ROOT
from tests.deploy import charts, manual, promtool

_PAGE = ROOT / "docs" / "monitoring.md"
_SCRAPE = ROOT / "deploy" / "prometheus" / "scrape.yaml"


def _scrape() -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe", pure=True).load(_SCRAPE)
    return loaded


def test_prometheus_takes_the_entry(tmp_path: Path) -> None:
    """Prometheus accepts the entry for use without an operator; Debian's build lacks Kubernetes support."""
    entry = _scrape()
    assert entry.pop("kubernetes_sd_configs") == [{"role": "pod"}]
    entry["static_configs"] = [{"targets": ["127.0.0.1:9"]}]
    YAML(typ="safe", pure=True).dump({"scrape_configs": [entry]}, tmp_path / "prometheus.yaml")
    promtool.run("check", "config", str(tmp_path / "prometheus.yaml"))


def test_both_ways_give_the_same_labels() -> None:
    """Dashboards and alerts select by job, component, and the labels that the operator adds."""
    monitor = charts.one(charts.render({"podMonitor": {"enabled": True}}), "PodMonitor", "marquee")
    set_by_operator = {"namespace", "pod", "endpoint"}
    for endpoint in monitor["spec"]["podMetricsEndpoints"]:
        labels = {rule["targetLabel"] for rule in endpoint["relabelings"]}
        assert labels == {"job", "component"}
    entry = _scrape()
    targets = {rule["target_label"] for rule in entry["relabel_configs"] if "target_label" in rule}
    assert targets - {"__metrics_path__"} == {"component"} | set_by_operator
    assert entry["job_name"] == "marquee"


def test_ports_that_are_scraped_are_there() -> None:
    """The pods' ports have the names that are scraped."""
    rendered = charts.render()
    containers = [
        container
        for name in charts.names(rendered, "Deployment")
        for container in charts.containers(charts.pod(rendered, name)).values()
    ]
    ports = {port["name"] for container in containers for port in container.get("ports", [])}
    assert ports == {"grpc", "metrics", "serving", "serving-http"}


def test_manual_lists_every_alert() -> None:
    """The table of alerts lists each with its severity, and no others."""
    listed = re.findall(
        r"^\| (Marquee\w+) \| (\w+) \| \[.*\]\(runbooks/(.+)\.md\) \|$", _PAGE.read_text(), re.MULTILINE
    )
    yaml = YAML(typ="safe", pure=True)
    files = {path.stem: yaml.load(path) for path in (CHART / "alerts").glob("*.yaml")}
    assert sorted(listed) == sorted(
        (alert["alert"], alert["labels"]["severity"], name) for name, alert in files.items()
    )


def test_manual_can_be_typed() -> None:
    """Bash accepts the commands."""
    for block in manual.blocks(_PAGE):
        manual.check_shell(block)
