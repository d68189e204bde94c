"""Tests of Marquee during upgrades, moves and failures, under load."""

import json
import shutil
import time

import pytest

from services.names import SERVERS
from tests.cluster import cluster
from tests.cluster.loads import under_load
from tests.support.processes import metric, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("release"), pytest.mark.timeout(900)]
_CALLS_PER_POD = 5


def test_upgrade_and_rollback_lose_no_call() -> None:
    """Every call is answered while `helm upgrade` and `helm rollback` replace pods of the gateway and recognizers."""

    def change() -> None:
        cluster.upgrade(f"--values={cluster.CHANGED}", "--wait", "--timeout=180s")
        cluster.helm("rollback", "--wait", "--timeout=180s")

    before = cluster.pod_names("gateway")
    report = under_load("upgrade", 120, change)
    assert report["failed"] == [], report
    assert not set(before) & set(cluster.pod_names("gateway"))


def test_restart_of_a_recognizer_loses_no_call() -> None:
    """Every call is answered while the recognizer that gets the calls is replaced."""

    def restart() -> None:
        cluster.kubectl("rollout", "restart", "deployment/marquee-keras")
        cluster.wait_for_rollout("keras")

    report = under_load("restart", 60, restart)
    assert report["failed"] == [], report


def test_deleted_and_evicted_pods_lose_no_call() -> None:
    """Every call is answered while a gateway pod is deleted, then another evicted by the API, within the budget."""

    def disturb() -> None:
        deleted, evicted = cluster.pod_names("gateway")
        cluster.kubectl("delete", "pod", deleted)
        cluster.wait_for_rollout("gateway")
        _evict(evicted)
        cluster.wait_for_rollout("gateway")

    report = under_load("moved", 75, disturb)
    assert report["failed"] == [], report


def test_scaling_loses_no_call() -> None:
    """Every call is answered while the gateway scales from one pod to three, all of which get calls, and back."""

    def scale() -> None:
        for replicas in (1, 3):
            cluster.kubectl("scale", "deployment/marquee-gateway", f"--replicas={replicas}")
            cluster.wait_for_rollout("gateway")
        wait_until(lambda: all(_calls(name) >= _CALLS_PER_POD for name in cluster.pod_names("gateway")))
        cluster.kubectl("scale", "deployment/marquee-gateway", "--replicas=1")
        cluster.wait_for_rollout("gateway")
        time.sleep(10)

    report = under_load("scaled", 120, scale)
    cluster.kubectl("scale", "deployment/marquee-gateway", "--replicas=2")
    cluster.wait_for_rollout("gateway")
    assert report["failed"] == [], report


@pytest.mark.parametrize(
    "wrong",
    ["images.tag=missing", "gateway.env.MARQUEE_GATEWAY_NAME=Not A Name"],
    ids=["image", "configuration"],
)
def test_wrong_release_leaves_the_old_pods(wrong: str) -> None:
    """A wrong image or a broken configuration never becomes ready, and the old pods keep serving."""
    old = set(cluster.pod_names("gateway"))
    cluster.upgrade(f"--set={wrong}")
    try:
        wait_until(lambda: any(_is_stuck(each) for each in cluster.pods("gateway")))
        assert old <= set(cluster.pod_names("gateway"))
        assert all(cluster.is_ready(each) for each in cluster.pods("gateway") if each["metadata"]["name"] in old)
    finally:
        cluster.helm("rollback", "--wait", "--timeout=180s")


@pytest.mark.parametrize("component", SERVERS)
def test_killed_processes_restart(component: str) -> None:
    """After SIGKILL to every container of a pod, the same pod becomes ready again."""
    if not shutil.which("node-ctr"):
        pytest.skip("node-ctr is not on PATH: a process can only be killed from its node")
    name = cluster.pod_names(component)[0]
    for container in _running(name):
        cluster.run("node-ctr", "tasks", "kill", "--signal", "SIGKILL", container)
    wait_until(lambda: not cluster.is_ready(_pod(name)) or _restarts(name) > 0)
    wait_until(lambda: cluster.is_ready(_pod(name)))


def _calls(pod: str) -> float:
    """Return how many pictures the pod has received."""
    with cluster.port_forward(f"pod/{pod}", 9464) as address:
        return metric(f"http://{address}/metrics", "grpc_server_started_total", 'grpc_method="RecognizeImage"')


def _evict(name: str) -> None:
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    path = f"/api/v1/namespaces/{cluster.NAMESPACE}/pods/{name}/eviction"
    cluster.kubectl("create", "--raw", path, "--filename=-", stdin=json.dumps(eviction))


def _pod(name: str) -> cluster.Object:
    pod: cluster.Object = json.loads(cluster.kubectl("get", "pod", name, "--output=json"))
    return pod


def _is_stuck(pod: cluster.Object) -> bool:
    waiting = [each["state"].get("waiting", {}) for each in pod["status"].get("containerStatuses", [])]
    return any(each.get("reason") in {"ErrImagePull", "ImagePullBackOff", "CrashLoopBackOff"} for each in waiting)


def _running(name: str) -> list[str]:
    status = _pod(name)["status"]
    containers = status["containerStatuses"] + status.get("initContainerStatuses", [])
    return [each["containerID"].rpartition("/")[2] for each in containers if "running" in each["state"]]


def _restarts(name: str) -> int:
    return sum(each["restartCount"] for each in _pod(name)["status"]["containerStatuses"])
