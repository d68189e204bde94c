"""Tests of scaling, metrics and network policies: the chart's options that other controllers act on."""

import pytest

from services.names import RECOGNIZERS
from tests.deploy import charts

pytestmark = pytest.mark.slow


def test_hpa_scales_on_cpu_and_calls_in_flight() -> None:
    """The HPA has both metrics, and the Deployment leaves the replica count to it."""
    scaling = {"type": "hpa", "minReplicas": 3, "maxReplicas": 9, "cpu": 60, "inFlight": 4}
    objects = charts.render({"gateway": {"autoscaling": scaling}})
    spec = charts.one(objects, "HorizontalPodAutoscaler", "marquee-gateway")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 9)
    cpu, calls = spec["metrics"]
    assert cpu["resource"]["target"]["averageUtilization"] == 60
    assert calls["pods"] == {
        "metric": {"name": "marquee_calls_in_flight"},
        "target": {"type": "AverageValue", "averageValue": "4"},
    }
    assert "replicas" not in charts.one(objects, "Deployment", "marquee-gateway")["spec"]


def test_keda_scales_on_prometheus() -> None:
    """The ScaledObject queries the calls in flight of this component's pods, and keeps them without an answer."""
    scaling = {"type": "keda", "cpu": 0, "inFlight": 4, "prometheus": "http://prometheus:9090"}
    objects = charts.render({"recognizers": {"svm": {"autoscaling": scaling}}})
    (trigger,) = charts.one(objects, "ScaledObject", "marquee-svm")["spec"]["triggers"]
    assert trigger["type"] == "prometheus"
    assert trigger["metadata"]["threshold"] == "4"
    own = 'job="marquee",namespace="default",release="marquee",component="svm"'
    assert trigger["metadata"]["query"] == f"sum(marquee_calls_in_flight{{{own}}})"
    assert trigger["metadata"]["ignoreNullValues"] == "false"
    assert "HorizontalPodAutoscaler" not in {each["kind"] for each in objects}


def test_budget_depends_on_the_most_pods_there_may_be() -> None:
    """What may scale from one pod to ten has a disruption budget; what never has two pods does without."""
    for most, budgeted in ((10, True), (1, False)):
        scaling = {"type": "hpa", "minReplicas": 1, "maxReplicas": most}
        objects = charts.render({"gateway": {"autoscaling": scaling}})
        assert ("marquee-gateway" in charts.names(objects, "PodDisruptionBudget")) == budgeted


def test_pod_monitor_finds_all_pods_and_tensorflow_serving() -> None:
    """One PodMonitor covers all components, with the path of TensorFlow Serving's metrics."""
    objects = charts.render({"podMonitor": {"enabled": True, "labels": {"release": "prometheus"}}})
    monitor = charts.one(objects, "PodMonitor", "marquee")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    endpoints = {each["port"]: each["path"] for each in monitor["spec"]["podMetricsEndpoints"]}
    assert endpoints == {"metrics": "/metrics", "serving-http": "/monitoring/prometheus/metrics"}


def test_callers_can_be_restricted() -> None:
    """The list gatewayFrom decides which pods may call, and network policies can be turned off."""
    peers = [{"namespaceSelector": {"matchLabels": {"team": "photos"}}}]
    objects = charts.render({"networkPolicy": {"gatewayFrom": peers}})
    assert charts.one(objects, "NetworkPolicy", "marquee-gateway")["spec"]["ingress"][0]["from"] == peers
    assert not charts.names(charts.render({"networkPolicy": {"enabled": False}}), "NetworkPolicy")


@pytest.mark.parametrize(
    ("env", "port"),
    [
        ({"ENDPOINT": "http://collector:4317"}, 4317),
        ({"ENDPOINT": "https://traces.example/v1"}, 443),
        ({"ENDPOINT": "collector.monitoring:4320"}, 4320),
        ({"ENDPOINT": "http://metrics:4317", "TRACES_ENDPOINT": "http://traces:4327"}, 4327),
    ],
    ids=str,
)
def test_traces_may_leave_the_pods(env: dict[str, str], port: int) -> None:
    """A component that is told of a collector may connect to its port, and no other component may."""
    own = {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in env.items()}
    objects = charts.render({"gateway": {"env": own}})
    ways = {
        name: charts.one(objects, "NetworkPolicy", f"marquee-{name}")["spec"]["egress"] for name in ("gateway", "svm")
    }
    assert ways["gateway"][-1] == {"ports": [{"port": port, "protocol": "TCP"}]}
    assert ways["svm"] == charts.one(charts.render(), "NetworkPolicy", "marquee-svm")["spec"]["egress"]


def test_gateway_of_recognizers_elsewhere_reaches_no_pods() -> None:
    """Where the chart deploys no recognizer, no rule is there for them: one with an empty list is not valid."""
    elsewhere = {"deploy": False, "gateway": {"target": "eu.example:443", "tls": {}}}
    gone = dict.fromkeys(RECOGNIZERS)
    policy = charts.one(charts.render({"recognizers": {"eu": elsewhere, **gone}}), "NetworkPolicy", "marquee-gateway")
    assert policy["spec"]["egress"] == [{"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}]


def test_custom_resources_are_optional() -> None:
    """With default values, every object is of a built-in kind."""
    groups = {each["apiVersion"].partition("/")[0] for each in charts.render()}
    assert groups == {"v1", "apps", "policy", "networking.k8s.io"}
