"""Tests of who decides how many pods there are: the chart's values, an HPA or KEDA.

Neither a metrics server nor KEDA's operator need run in the cluster: these tests hold that Helm leaves the number alone
when it changes hands, not that an autoscaler changes it.
"""

import json
from collections.abc import Callable, Iterator

import pytest

from helm.generate import CHART
from tests.cluster import cluster
from tests.cluster.loads import under_load
from tests.cluster.scaling import hpa_has_looked, running_pods, set_autoscaling
from tests.support.processes import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
_NAMESPACE = "marquee-scaling"
_DEPLOYMENT = "deployment/marquee-gateway"
_WITHOUT = ("recognizers.keras=null", "recognizers.rekognition=null", "web.enabled=false")
_NO_NODE = "--set-string=defaults.nodeSelector.marquee\\.test/exists=no"
_PODS = 3


@pytest.fixture
def _three_pods(release: None) -> Iterator[None]:  # noqa: ARG001 - installs the pods
    set_autoscaling("none", _PODS)
    yield
    cluster.restore()


@pytest.mark.usefixtures("_three_pods")
def test_autoscaling_turned_on_and_off_keeps_every_pod() -> None:
    """No pod ends and no call is lost from a fixed number to an HPA and back, to KEDA, and back by `helm rollback`."""

    def change() -> None:
        set_autoscaling("hpa", _PODS)
        wait_until(lambda: hpa_has_looked(_PODS))
        set_autoscaling("none", _PODS)
        set_autoscaling("keda", _PODS)
        cluster.helm("rollback", "--wait", "--timeout=180s")

    with running_pods("keras", _PODS) as counts:
        report = under_load("autoscaling", 90, change)
    assert min(counts) == _PODS
    assert report["failed"] == [], report


@pytest.fixture(scope="module")
def _namespace() -> Iterator[None]:
    """Make a namespace for releases whose pods no node takes: their number alone is looked at."""
    with cluster.namespaced(_NAMESPACE):
        yield


def _upgrade(kind: str, **values: int) -> Callable[[], object]:
    """Return an upgrade, or installation, with an autoscaler or none for the gateway."""
    options = [f"--set={value}" for value in _WITHOUT] + [_NO_NODE, f"--set=gateway.autoscaling.type={kind}"]
    for key, value in values.items():
        options.append(f"--set=gateway.{'' if key == 'replicas' else 'autoscaling.'}{key}={value}")
    return lambda: cluster.helm("upgrade", "--install", str(CHART), *options, namespace=_NAMESPACE)


def _scale(pods: int) -> Callable[[], object]:
    """Return what an autoscaler would do."""
    return lambda: cluster.kubectl("scale", _DEPLOYMENT, f"--replicas={pods}", namespace=_NAMESPACE)


def _rollback() -> object:
    return cluster.helm("rollback", namespace=_NAMESPACE)


def _forget() -> object:
    """Make the Deployment look as if the chart had not yet noted that it states the number."""
    return cluster.kubectl("annotate", _DEPLOYMENT, "marquee/replicas-", namespace=_NAMESPACE)


_Steps = list[tuple[Callable[[], object], int | None]]
CASES: dict[str, _Steps] = {
    "an autoscaler from the start": [
        (_upgrade("hpa"), None),
        (_scale(6), 6),
        (_upgrade("hpa", maxReplicas=8), 6),
        (_upgrade("keda"), 6),
        (_upgrade("hpa"), 6),
        (_scale(7), 7),
        (_rollback, 7),
        (_upgrade("none", replicas=4), 4),
        (_upgrade("hpa"), 4),
    ],
    "an autoscaler later": [
        (_upgrade("none", replicas=3), 3),
        (_upgrade("keda"), 3),
        (_scale(6), 6),
        (_upgrade("keda", maxReplicas=8), 6),
        (_upgrade("hpa"), 6),
        (_upgrade("none", replicas=3), 3),
    ],
    "installed by an earlier chart": [(_upgrade("none", replicas=3), 3), (_forget, 3), (_upgrade("hpa"), 3)],
    "fewer than the least": [(_upgrade("none", replicas=3), 3), (_upgrade("hpa", minReplicas=5), 5)],
    "none": [(_upgrade("none", replicas=0), 0), (_upgrade("hpa"), 2), (_scale(0), 0), (_upgrade("hpa"), 0)],
}


@pytest.mark.usefixtures("_namespace")
@pytest.mark.parametrize("case", CASES)
def test_number_of_pods_is_kept(case: str) -> None:
    """An autoscaler starts from the number that runs, but at its least, and keeps what it has made of it."""
    try:
        for step, expected in CASES[case]:
            step()
            assert expected in {None, _replicas()}
    finally:
        cluster.helm("uninstall", "--wait", namespace=_NAMESPACE)


def _replicas() -> int:
    deployment = json.loads(cluster.kubectl("get", _DEPLOYMENT, "--output=json", namespace=_NAMESPACE))
    return int(deployment["spec"]["replicas"])
