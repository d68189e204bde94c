"""Tests with a real Prometheus on this machine, which must reach the addresses of the cluster's pods."""

from collections.abc import Iterator

import pytest

from helm import manifests
from helm.generate import CHART
from marquee import Client
from services.names import SERVERS, SERVICES
from tests.cluster import cluster
from tests.deploy import promtool
from tests.deploy.prometheus import Prometheus, Target, prometheus
from tests.support.processes import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("release"), pytest.mark.timeout(300)]
_DOWN = "MarqueeRecognizerDown"


@pytest.fixture(scope="module")
def monitoring(release: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:  # noqa: ARG001 - installs the pods
    """Run Prometheus with the chart's rules, with alerts that fire after 5 s instead of minutes."""
    folder = tmp_path_factory.mktemp("prometheus")
    groups = promtool.groups(namespace=cluster.NAMESPACE)
    for rule in (rule for group in groups for rule in group["rules"] if "for" in rule):
        rule["for"] = "5s"
        rule["expr"] = rule["expr"].replace(" offset 10m", " offset 5s").replace("[5m]", "[5s]")
    promtool.write_rules(folder / "rules.json", groups)
    targets = [target for component in SERVICES for target in _targets(component)]
    with prometheus(folder, targets, folder / "rules.json") as running:
        yield running


def test_every_pod_is_scraped(monitoring: Prometheus) -> None:
    """Each pod is up, and the metrics of the gateway and all recognizers count a picture."""
    pods = {pod for component in SERVICES for pod in cluster.pod_names(component)}
    wait_until(lambda: {each["metric"]["pod"] for each in monitoring.query("up == 1")} == pods)
    with cluster.port_forward("service/marquee-gateway", 50051) as address, Client(address) as client:
        client.recognize((CHART / "files" / "picture.jpg").read_bytes(), no_cache=True)
    query = 'sum by (component) (grpc_server_handled_total{grpc_method="RecognizeImage",grpc_code="OK"}) > 0'
    wait_until(lambda: {each["metric"]["component"] for each in monitoring.query(query)} == set(SERVERS))


def test_a_recognizer_without_pods_raises_an_alert(monitoring: Prometheus) -> None:
    """The alert fires while the recognizer has no pods."""
    wait_until(lambda: bool(monitoring.query('up{component="svm"} == 1')))
    cluster.kubectl("scale", "deployment/marquee-svm", "--replicas=0")
    try:
        wait_until(lambda: monitoring.alerts().get(_DOWN) == "firing")
    finally:
        cluster.kubectl("scale", "deployment/marquee-svm", "--replicas=1")
        cluster.wait_for_rollout("svm")


def _targets(component: str) -> list[Target]:
    """Return the component's pods as targets, with the labels that deploy/prometheus/scrape.yaml gives them."""
    here = {"job": "marquee", "namespace": cluster.NAMESPACE, "release": manifests.RELEASE, "component": component}
    return [
        Target(f"{pod['status']['podIP']}:9464", {**here, "endpoint": "metrics", "pod": pod["metadata"]["name"]})
        for pod in cluster.pods(component)
    ]
