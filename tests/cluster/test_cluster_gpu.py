"""The Keras pod and nodes with a GPU."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from helm.generate import CHART
from tests.cluster import cluster
from tests.processes import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("release"), pytest.mark.timeout(600)]
_GPU = "nvidia.com/gpu"
_LABEL = f"{_GPU}.present"


def test_pod_waits_for_a_gpu_node_and_says_why() -> None:
    """It is Pending for its node selector, the pod before it serves on, and it runs once a node has a GPU to give."""
    if not shutil.which("node-ctr"):
        pytest.skip("node-ctr not on PATH: a node is changed here, which only a cluster made for tests should be")
    image = cluster.containers("keras")["serving"]["image"]
    arguments = ("--set=recognizers.keras.serving.gpu=true", f"--set=recognizers.keras.serving.image.gpu={image}")
    cluster.helm("upgrade", str(CHART), *cluster.values(), *arguments)
    try:
        wait_until(lambda: any("node affinity/selector" in why for why in _unschedulable()), 60)
        assert any(each["status"]["phase"] == "Running" for each in cluster.pods("keras"))
        with _gpu_node():
            cluster.rolled_out("keras", 90)
            cluster.helm("rollback", "--wait", "--timeout=180s")
    finally:
        cluster.helm("rollback", "1", "--wait", "--timeout=180s")


def _unschedulable() -> list[str]:
    conditions = [one for each in cluster.pods("keras") for one in each["status"].get("conditions", [])]
    return [one["message"] for one in conditions if one.get("reason") == "Unschedulable"]


@contextmanager
def _gpu_node() -> Iterator[None]:
    """The first node gets the label of a GPU node and one GPU to count; both go again."""
    name = json.loads(cluster.run("kubectl", "get", "nodes", "--output=json"))["items"][0]["metadata"]["name"]
    cluster.run("kubectl", "label", "node", name, f"{_LABEL}=true")
    _offer(name, "1")
    try:
        yield
    finally:
        cluster.run("kubectl", "label", "node", name, f"{_LABEL}-")
        _offer(name, None)


def _offer(node: str, gpus: str | None) -> None:
    status = {"status": {"capacity": {_GPU: gpus}, "allocatable": {_GPU: gpus}}}
    cluster.run("kubectl", "patch", "node", node, "--subresource=status", "--type=merge", "--patch", json.dumps(status))
