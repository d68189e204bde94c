"""Tests of the dashboards: every query of every panel has data while there is traffic."""

import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

import marquee
from helm import manifests
from helm.generate import CHART, ROOT, runbooks
from tests.deploy import charts, manual, promtool
from tests.deploy.prometheus import Prometheus, Target, page, prometheus
from tests.support.processes import PATIENCE, LocalSystem, wait_until

_FILES = sorted((CHART / "dashboards").glob("*.json"))
_RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
_EXPOSITIONS = Path(__file__).parent / "expositions"
_HERE = {"job": "marquee", "namespace": "marquee", "release": "marquee"}
_VARIABLES = {
    "$__rate_interval": "10s",
    "$namespace": _HERE["namespace"],
    "$release": _HERE["release"],
    "$recognizer": "rekognition",
}
_OF_PROMETHEUS = {"titleFormat", "textFormat", "step", "useValueForTime"}
"""What an annotation says to its data source, which Grafana's schema leaves open."""
pytestmark = pytest.mark.slow


def _panels(path: Path) -> list[dict[str, Any]]:
    return [panel for panel in json.loads(path.read_text())["panels"] if panel["type"] != "row"]


def _annotations(path: Path) -> list[dict[str, Any]]:
    marks: list[dict[str, Any]] = json.loads(path.read_text())["annotations"]["list"]
    return marks


def _queries() -> Iterator[tuple[str, str]]:
    for path in _FILES:
        for panel in _panels(path):
            yield from ((f"{path.stem}: {panel['title']}", target["expr"]) for target in panel["targets"])
        yield from ((f"{path.stem}: {mark['name']}", mark["expr"]) for mark in _annotations(path))


@pytest.fixture(scope="module")
def monitoring(system: LocalSystem, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Run Prometheus with the chart's rules on the local system, with stand-ins for metrics that need a GPU."""
    folder = tmp_path_factory.mktemp("prometheus")
    firing = {"alert": "MarqueeGatewayDown", "expr": "vector(1)", "labels": {**_HERE, "severity": "critical"}}
    promtool.write_rules(folder / "rules.json", [*promtool.groups(), {"name": "firing", "rules": [firing]}])
    with ExitStack() as stack:
        serving = stack.enter_context(page(_EXPOSITIONS / "tensorflow_serving.txt"))
        gpu = stack.enter_context(page(_EXPOSITIONS / "dcgm.txt"))
        targets = [Target(serving, {**_HERE, "component": "keras", "pod": "keras-0", "endpoint": "serving-http"})]
        pod = stack.enter_context(page(_EXPOSITIONS / "pod.txt"))
        targets.extend(
            Target(pod, {**_HERE, "component": name, "pod": f"{name}-1", "endpoint": "metrics"})
            for name in ("gateway", "rekognition")
        )
        targets.append(Target(gpu, {"job": "dcgm-exporter", "namespace": "gpu", "pod": "dcgm-0"}))
        for name, address in system.facts["metrics"].items():
            labels = {**_HERE, "component": name, "pod": f"{name}-0", "endpoint": "metrics"}
            targets.append(Target(address, labels))
        running = stack.enter_context(prometheus(folder, targets, folder / "rules.json"))
        stack.enter_context(_traffic(system))
        wait_until(lambda: len(running.query("up == 1")) == len(targets))
        yield running


@contextmanager
def _traffic(system: LocalSystem) -> Iterator[None]:
    """Call the gateway and the library and open the page repeatedly while the block runs."""
    end = threading.Event()
    picture = system.picture("both.jpg")

    def call() -> None:
        with (
            marquee.Client(system.address("gateway")) as client,
            marquee.LibraryClient(system.address("library")) as library,
            httpx.Client(base_url=system.page_url) as browser,
        ):
            while not end.is_set():
                library.add(
                    picture + uuid.uuid4().bytes, collection="watched", timeout=PATIENCE
                )  # another file each time
                client.recognize(system.picture("both.jpg"), timeout=PATIENCE, no_cache=True)
                client.recognize(system.picture("coffee.jpg"), timeout=PATIENCE)
                client.people(timeout=PATIENCE)
                with suppress(marquee.MarqueeError):
                    client.recognize(b"no picture", timeout=PATIENCE)
                browser.get("/", timeout=PATIENCE).raise_for_status()

    with ThreadPoolExecutor(1) as executor:
        calls = executor.submit(call)
        try:
            yield
        finally:
            end.set()
        calls.result()


def _until_empty(faults: Callable[[], list[str]]) -> None:
    """Wait until Prometheus has all data; fail the test with what is still missing."""
    with suppress(AssertionError):
        wait_until(lambda: not faults())
    assert faults() == []


def _numbers(series: list[dict[str, Any]]) -> list[str]:
    """Return the values that are numbers, because a division by zero draws nothing."""
    return [each["value"][1] for each in series if each["value"][1] != "NaN"]


def test_every_query_has_data(monitoring: Prometheus) -> None:
    """No panel is empty on a running system."""

    def empty() -> list[str]:
        return [
            f"{where}: {query}" for where, query in _queries_with_variables() if not _numbers(monitoring.query(query))
        ]

    _until_empty(empty)


def _queries_with_variables() -> Iterator[tuple[str, str]]:
    yield from ((where, _filled(query)) for where, query in _queries())


def _filled(query: str) -> str:
    for variable, value in _VARIABLES.items():
        query = query.replace(variable, value)
    return query


def test_every_recorded_rule_has_data(monitoring: Prometheus) -> None:
    """Each recording rule of the chart has a value."""
    recorded = {rule["record"] for rule in promtool.recorded(promtool.groups())}
    _until_empty(lambda: sorted(recorded - {*monitoring.metrics()}))


@pytest.mark.parametrize("runbook", _RUNBOOKS, ids=lambda path: path.stem)
def test_runbook_queries_have_results(monitoring: Prometheus, runbook: Path) -> None:
    """A runbook's queries return results, as far as the system has the metrics."""
    queries = manual.blocks(runbook, "promql")
    _until_empty(lambda: [query for query in queries if not monitoring.query(query) and "certmanager_" not in query])


def test_variables_have_values(monitoring: Prometheus) -> None:
    """A dashboard's variables have values to choose from."""
    queries = {
        variable["query"]
        for path in _FILES
        for variable in json.loads(path.read_text())["templating"]["list"]
        if variable["type"] == "query"
    }
    for query in queries:
        match = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
        assert match, query
        assert monitoring.query(f"count by ({match[2]}) ({_filled(match[1])})"), query


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_dashboard_is_well_formed(path: Path) -> None:
    """Grafana's own schema reads it without loss; panels say what they show, in what unit, and what no data means."""
    content = json.loads(path.read_text())
    for mark in content["annotations"]["list"]:
        assert {*mark} >= _OF_PROMETHEUS, mark["name"]
        for name in _OF_PROMETHEUS:
            del mark[name]
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(content)))
    assert again == content
    assert len({panel["id"] for panel in content["panels"]}) == len(content["panels"])
    for panel in _panels(path):
        names = [target["refId"] for target in panel["targets"]]
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["description"], panel["title"]
        assert defaults["noValue"], panel["title"]
        assert defaults.get("unit") or panel["type"] not in {"stat", "timeseries"}, panel["title"]
        assert all(names), panel["title"]
        assert len(set(names)) == len(names), panel["title"]


def test_dashboards_have_their_own_uids() -> None:
    """Each dashboard has its own uid, because Grafana keeps only one dashboard per uid."""
    uids = [json.loads(path.read_text())["uid"] for path in _FILES]
    assert uids == [f"marquee-{path.stem}" for path in _FILES]


def test_every_alert_is_linked_where_it_is_watched() -> None:
    """Each alert's runbook is a link of some panel, and of the alert itself where alerts are shown."""
    panels = [panel for path in _FILES for panel in _panels(path)]
    (timeline,) = (panel for panel in panels if panel["type"] == "state-timeline")
    shown = [override["matcher"]["options"] for override in timeline["fieldConfig"]["overrides"]]
    for path in sorted((CHART / "alerts").glob("*.yaml")):
        alert = yaml.safe_load(path.read_text())
        page = f"{runbooks()}{Path(alert['annotations']['runbook_url']).name}"
        assert any(page == link["url"] for panel in panels for link in panel.get("links", [])), path.stem
        assert f"/ {alert['alert']} /" in shown


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    """Links lead to runbooks and dashboards that exist."""
    pages = {f"{runbooks()}{page.name}" for page in _RUNBOOKS} | {runbooks()}
    boards = {f"/d/marquee-{each.stem}" for each in _FILES}
    for url in re.findall(r'"url": "([^"]+)"', path.read_text()):
        assert url in pages or url.partition("?")[0] in boards, url


def test_everything_they_read_is_recorded_without_alerts() -> None:
    """Dashboards bring all recorded rules that they read but the one that says that there are alerts."""
    values = {"dashboards": {"enabled": True}, "podMonitor": {"enabled": True}, "alerts": {"dailyCapUsd": 25}}
    values["library"] = charts.LIBRARY
    rules = charts.one(charts.render(values), "PrometheusRule", "marquee")
    recorded = {rule["record"] for group in rules["spec"]["groups"] for rule in group["rules"]}
    read = {name for _, query in _queries() for name in re.findall(r"marquee:[\w:]+|marquee_calls_in_flight", query)}
    assert read - recorded == {"marquee:alerts:enabled"}


def test_links_follow_the_runbooks() -> None:
    """Where alerts link to runbooks elsewhere, dashboards do so, too."""
    wiki = "https://wiki.example/marquee/"
    values = {"dashboards": {"enabled": True}, "alerts": {"runbooks": wiki}}
    text = "".join(manifests.render(CHART, values).values())
    assert f"{wiki}gateway-down.md" in text
    assert runbooks() not in text


def test_sidecar_finds_the_dashboards() -> None:
    """Each dashboard is a ConfigMap with the label that Grafana's sidecar looks for."""
    rendered = manifests.objects(manifests.render(CHART, {"dashboards": {"enabled": True}}))
    dashboards = {
        name: json.loads(text)
        for each in rendered
        if each["metadata"]["labels"].get("grafana_dashboard") == "1"
        for name, text in each["data"].items()
    }
    assert dashboards == {f"marquee-{path.name}": json.loads(path.read_text()) for path in _FILES}
