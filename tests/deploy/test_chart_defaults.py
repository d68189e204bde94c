"""Tests of the chart with its default values."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from helm.generate import ROOT
from services.names import RECOGNIZERS, SERVERS
from tests.deploy import charts

WORKLOADS = sorted(SERVERS)
ALL = charts.render()


def test_k8s_is_the_charts_output() -> None:
    """The folder k8s/ has each object that the chart renders by default exactly once, listed for kustomize."""
    yaml = YAML(typ="safe", pure=True)
    kustomization = yaml.load(ROOT / "k8s" / "kustomization.yaml")
    files = [yaml.load_all(ROOT / "k8s" / name) for name in kustomization["resources"]]
    assert _sorted(chain.from_iterable(map(list, files))) == _sorted(ALL)


def _sorted(objects: Iterable[charts.Object]) -> list[charts.Object]:
    return sorted(objects, key=lambda each: (each["kind"], each["metadata"]["name"]))


@pytest.mark.parametrize("component", charts.INSTALLED)
def test_pods_are_restricted(component: str) -> None:
    """Every container meets the Pod Security Standard `restricted`, has a read-only root, and no API token."""
    pod = charts.pod(ALL, f"marquee-{component}")
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in charts.containers(pod).values():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@pytest.mark.parametrize("component", WORKLOADS)
def test_probes_check_the_servers_health(component: str) -> None:
    """Startup and liveness probes check `liveness`, which holds while a model loads; readiness checks `readiness`."""
    server = charts.containers(charts.pod(ALL, f"marquee-{component}"))[component]
    probes = {probe: server[f"{probe}Probe"]["grpc"] for probe in ("startup", "liveness", "readiness")}
    assert probes == {
        "startup": {"port": 9465, "service": "liveness"},
        "liveness": {"port": 9465, "service": "liveness"},
        "readiness": {"port": 9465, "service": "readiness"},
    }


@pytest.mark.parametrize("component", charts.INSTALLED)
def test_grace_period_is_longer_than_the_drain(component: str) -> None:
    """Kubernetes waits for the drain delay and the drain before it kills the pod."""
    pod = charts.pod(ALL, f"marquee-{component}")
    environment = charts.environment(charts.containers(pod)[component])
    drain = float(environment["MARQUEE_DRAIN_DELAY_SECONDS"]) + float(environment["MARQUEE_DRAIN_SECONDS"])
    assert pod["terminationGracePeriodSeconds"] > drain


@pytest.mark.parametrize("component", WORKLOADS)
def test_connections_end_before_their_server_stops(component: str) -> None:
    """The drain delay covers a connection's maximum age plus a tenth, and 5 s in which DNS still names the pod."""
    environment = charts.environment(charts.containers(charts.pod(ALL, f"marquee-{component}"))[component])
    oldest = float(environment["MARQUEE_MAX_CONNECTION_AGE_SECONDS"]) * 1.1
    assert float(environment["MARQUEE_DRAIN_DELAY_SECONDS"]) >= oldest + 5


@pytest.mark.parametrize("component", [name for name in charts.INSTALLED if name != "keras"])
def test_no_pod_stops_before_its_successor_is_ready(component: str) -> None:
    """A wrong image or a broken configuration leaves all old pods running, but that of keras, which has the GPU."""
    strategy = charts.one(ALL, "Deployment", f"marquee-{component}")["spec"]["strategy"]
    assert strategy["rollingUpdate"]["maxUnavailable"] == 0


def test_single_pods_have_no_disruption_budget() -> None:
    """A budget for a single pod would block draining its node, so keras, which has one pod, has no budget."""
    assert charts.names(ALL, "PodDisruptionBudget") == [
        f"marquee-{name}" for name in sorted(charts.INSTALLED) if name != "keras"
    ]
    budget = charts.one(ALL, "PodDisruptionBudget", "marquee-svm")
    assert budget["spec"]["maxUnavailable"] == 1


def test_services_are_headless_where_clients_balance() -> None:
    """Recognizers have headless Services, and the gateway has both kinds."""
    headless = [each for each in ALL if each["kind"] == "Service" and each["spec"].get("clusterIP") == "None"]
    expected = sorted(["marquee-gateway-headless", *(f"marquee-{name}" for name in RECOGNIZERS)])
    assert charts.names(headless, "Service") == expected
    assert charts.one(ALL, "Service", "marquee-gateway")["spec"]["type"] == "ClusterIP"


def test_gateway_accepts_its_file(tmp_path: Path) -> None:
    """The gateway's own code accepts the ConfigMap's file, which points to the chart's Services."""
    recognizers = charts.gateway_config(ALL, tmp_path).recognizers
    assert {name: (each.target, each.tls) for name, each in recognizers.items()} == {
        name: (f"dns:///marquee-{name}:50051", "plaintext") for name in RECOGNIZERS
    }
    assert [name for name, each in recognizers.items() if each.priced] == ["rekognition"]


def test_keras_waits_for_a_gpu() -> None:
    """The pod selects nodes on which GPU feature discovery found a GPU, tolerates their taint, and requests one GPU."""
    pod = charts.pod(ALL, "marquee-keras")
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    serving = charts.containers(pod)["serving"]
    assert serving["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert serving["image"].endswith("-gpu")


def test_only_keras_requests_a_gpu() -> None:
    """The other pods neither select GPU nodes nor tolerate their taint."""
    for component in ("gateway", "rekognition", "svm"):
        pod = charts.pod(ALL, f"marquee-{component}")
        assert "nodeSelector" not in pod
        assert "tolerations" not in pod


def test_model_is_fetched_before_it_is_served() -> None:
    """The fetch ends before serving starts; watch and serving run next to the adapter and share its folder."""
    pod = charts.pod(ALL, "marquee-keras")
    order = [(each["name"], each.get("restartPolicy")) for each in pod["initContainers"]]
    assert order == [("fetch", None), ("watch", "Always"), ("serving", "Always")]
    containers = charts.containers(pod)
    assert containers["fetch"]["command"][3:5] == ["s3://marquee-models/keras/celebrity", "/models/celebrity"]
    assert "--model_base_path=/models/celebrity" in containers["serving"]["args"]
    assert charts.environment(containers["keras"])["MARQUEE_KERAS_ASSETS"] == "/models/celebrity"


def test_network_policies_allow_only_designed_connections() -> None:
    """Only callers and the page → gateway → recognizers → AWS, Prometheus → metrics, and DNS are allowed."""
    deny = charts.one(ALL, "NetworkPolicy", "marquee-default-deny")["spec"]
    assert deny["policyTypes"] == ["Ingress", "Egress"]
    assert not deny.keys() & {"ingress", "egress"}
    assert deny["podSelector"]["matchLabels"].keys() == {"app.kubernetes.io/name", "app.kubernetes.io/instance"}
    svm = charts.one(ALL, "NetworkPolicy", "marquee-svm")["spec"]
    calls, metrics = svm["ingress"]
    assert [each["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for each in calls["from"]] == ["gateway"]
    assert metrics["ports"] == [{"port": "metrics", "protocol": "TCP"}]
    assert {port["port"] for rule in svm["egress"] for port in rule["ports"]} == {53, 80, 443}
    web = charts.one(ALL, "NetworkPolicy", "marquee-web")["spec"]
    assert [port["port"] for rule in web["egress"] for port in rule["ports"]] == [53, 53, "grpc"]
    (way,) = web["egress"][1]["to"]
    assert way["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "gateway"
    gateway = charts.one(ALL, "NetworkPolicy", "marquee-gateway")["spec"]
    assert "from" not in gateway["ingress"][0]
    assert [port["port"] for rule in gateway["egress"] for port in rule["ports"]] == [53, 53, "grpc"]
