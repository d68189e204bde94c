"""Tests of what Prometheus records for alerts, dashboards and autoscalers."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from tests.deploy import charts, promtool
from tests.deploy.prometheus import Target, prometheus
from tests.support.processes import PATIENCE, wait_until
from tests.support.servers import LeafProcess, request

pytestmark = pytest.mark.slow
_POD = 'job="marquee",namespace="marquee",release="marquee",component="{}",pod="{}"'
_GROUPS = {
    "marquee-objectives",
    "marquee-components",
    "marquee-availability",
    "marquee-calls",
    "marquee-latency",
    "marquee-rekognition",
}
_KEDA = {"gateway": {"autoscaling": {"type": "keda", "inFlight": 4}}}


def _records(tmp_path: Path, series: dict[str, str], expression: str, expected: dict[str, float]) -> None:
    """Check the samples of an expression when the series, each of one sample, have been scraped."""
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    samples = [{"labels": labels, "value": value} for labels, value in expected.items()]
    check = {"expr": expression, "eval_time": "0", "exp_samples": samples}
    promtool.check(
        tmp_path, promtool.recorded(promtool.groups()), [{"input_series": inputs, "promql_expr_test": [check]}]
    )


def test_calls_in_flight_are_calls_alone(tmp_path: Path) -> None:
    """Per pod, calls started but not handled count, of every service but health and reflection; so do page requests."""
    svm, idle, web = _POD.format("svm", "a"), _POD.format("svm", "b"), _POD.format("web", "c")
    series = {
        f'grpc_server_started_total{{{svm},grpc_service="marquee.v1.RecognizerService"}}': "5",
        f'grpc_server_handled_total{{{svm},grpc_service="marquee.v1.RecognizerService"}}': "2",
        f'grpc_server_started_total{{{svm},grpc_service="marquee.v1.EnrollmentService"}}': "1",
        f'grpc_server_started_total{{{svm},grpc_service="grpc.health.v1.Health"}}': "9",
        f'grpc_server_started_total{{{idle},grpc_service="grpc.health.v1.Health"}}': "9",
        f'grpc_server_started_total{{{idle},grpc_service="grpc.reflection.v1alpha.ServerReflection"}}': "9",
        f'up{{{idle},endpoint="metrics"}}': "1",
        f"marquee_http_requests_in_flight{{{web}}}": "7",
        f'up{{{web},endpoint="metrics"}}': "1",
    }
    expected = {f"marquee_calls_in_flight{{{pod}}}": calls for pod, calls in ((svm, 4), (idle, 0), (web, 7))}
    _records(tmp_path, series, "marquee_calls_in_flight", expected)


def test_two_releases_in_a_namespace_are_recorded_apart(tmp_path: Path) -> None:
    """The rules of two releases in a namespace make no duplicates, and each has its own numbers and versions."""
    pods = {release: f'job="marquee",namespace="marquee",release="{release}"' for release in ("blue", "green")}
    calls = 'component="gateway",pod="g",grpc_method="RecognizeImage"'
    inputs = [
        {"series": f'{name}{{{pods[release]},{calls},{label}="{value}"}}', "values": f"0+{each}x40"}
        for release, name, label, value, each in (
            ("blue", "grpc_server_handled_total", "grpc_code", "OK", 100),
            ("blue", "marquee_failed_calls_total", "fault", "server", 50),
            ("green", "grpc_server_handled_total", "grpc_code", "OK", 100),
            ("green", "marquee_failed_calls_total", "fault", "server", 0),
        )
    ]
    inputs += [
        {
            "series": f'marquee_model_info{{{pod},component="keras",pod="k",model="m",version="{name}"}}',
            "values": "1x40",
        }
        for name, pod in pods.items()
    ]
    ratios = [
        {"labels": f"marquee:gateway_errors:ratio_rate5m{{{pods['blue']}}}", "value": 0.5},
        {"labels": f"marquee:gateway_errors:ratio_rate5m{{{pods['green']}}}", "value": 0},
    ]
    checks = {
        "interval": "1m",
        "input_series": inputs,
        "promql_expr_test": [
            {"expr": "marquee:gateway_errors:ratio_rate5m", "eval_time": "40m", "exp_samples": ratios}
        ],
        "alert_rule_test": [{"alertname": "MarqueeModelStale", "eval_time": "40m"}],
    }
    rules = [
        rule
        for release in pods
        for group in promtool.groups(release=release)
        for rule in group["rules"]
        if "record" in rule or rule["alert"] == "MarqueeModelStale"
    ]
    promtool.check(tmp_path, rules, [checks])


def test_expected_components_are_the_charts() -> None:
    """What should run is recorded: every component that is deployed with pods, and no other."""
    values = {
        "recognizers": {
            "svm": {"replicas": 0},
            "keras": {"deploy": False, "gateway": {"target": "keras:50051", "tls": "plaintext"}},
        }
    }
    rules = charts.one(charts.render({"alerts": {"enabled": True}, **values}), "PrometheusRule", "marquee")
    expected = {
        each["labels"]["component"]
        for each in promtool.recorded(rules["spec"]["groups"])
        if each["record"] == "marquee:component:expected"
    }
    assert expected == {"gateway", "rekognition", "web"}


@pytest.mark.parametrize(
    ("values", "groups"),
    [
        ({}, set()),
        ({"podMonitor": {"enabled": True}}, set()),
        ({"podMonitor": {"enabled": True}, "dashboards": {"enabled": True}}, _GROUPS),
        ({"podMonitor": {"enabled": True}, **_KEDA}, _GROUPS),
        ({"alerts": {"enabled": True}}, _GROUPS | {"marquee-alerts"}),
    ],
)
def test_what_is_read_is_recorded(values: dict[str, Any], groups: set[str]) -> None:
    """Rules are recorded wherever dashboards, autoscalers or alerts read them; alerts come only where asked for."""
    rules = [each for each in charts.render(values) if each["kind"] == "PrometheusRule"]
    assert {group["name"] for rule in rules for group in rule["spec"]["groups"]} == groups


def test_notes_name_what_nobody_records() -> None:
    """Without the operator, the notes say that dashboards and autoscalers need the rules."""
    assert "Dashboards read recorded rules" in charts.text("NOTES.txt", {"dashboards": {"enabled": True}})
    assert "Autoscalers read recorded rules" in charts.text("NOTES.txt", _KEDA)
    assert "recorded rules" not in charts.text("NOTES.txt", {"alerts": {"enabled": True}, **_KEDA})


async def test_what_autoscalers_ask_counts_calls_and_no_watches(tmp_path: Path) -> None:
    """KEDA's query counts a running call, and neither three clients that watch health nor one of reflection."""
    objects = charts.render({"recognizers": {"svm": {"autoscaling": {"type": "keda", "inFlight": 4}}}})
    triggers = charts.one(objects, "ScaledObject", "marquee-svm")["spec"]["triggers"]
    (query,) = (each["metadata"]["query"] for each in triggers if each["type"] == "prometheus")
    labels = {"job": "marquee", "namespace": "default", "release": "marquee", "component": "svm"}
    labels |= {"endpoint": "metrics", "pod": "svm-1"}
    promtool.write_rules(tmp_path / "rules.json", promtool.groups(namespace="default"))
    process = LeafProcess(tmp_path, "--until", tmp_path / "end")
    try:
        await process.serving()
        target = Target(process.metrics_url.removeprefix("http://").removesuffix("/metrics"), labels)
        with prometheus(tmp_path, [target], tmp_path / "rules.json") as running:

            def counts(query: str) -> list[float]:
                return [float(each["value"][1]) for each in running.query(query)]

            async with process.client() as client, grpc.aio.insecure_channel(process.address) as channel:
                watches = [HealthStub(channel).Watch(HealthCheckRequest()) for _ in range(3)]
                for watch in watches:
                    await watch.read()
                reflection = ServerReflectionStub(channel).ServerReflectionInfo()
                await reflection.write(ServerReflectionRequest(list_services=""))
                await reflection.read()
                streams = 'sum(grpc_server_started_total{grpc_method=~"Watch|ServerReflectionInfo"})'
                await asyncio.to_thread(wait_until, lambda: counts(streams) == [4] and counts(query) == [0])
                call = asyncio.ensure_future(client.RecognizeImage(request(), timeout=PATIENCE))
                await asyncio.to_thread(wait_until, lambda: counts(query) == [1])
                (tmp_path / "end").touch()
                await call
                await asyncio.to_thread(wait_until, lambda: counts(query) == [0])
    finally:
        process.close()
