"""The Keras pod and nodes with a GPU."""

import shutil

import pytest

from tests.cluster import cluster, gpu
from tests.support.processes import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("release"), pytest.mark.timeout(600)]


def test_pod_waits_for_a_gpu_node_and_says_why() -> None:
    """It is Pending for its node selector, the pod before it serves on, and it runs once a node has a GPU to give."""
    if not shutil.which("node-ctr"):
        pytest.skip("node-ctr not on PATH: a node is changed here, which only a cluster made for tests should be")
    gpu.ask_for_one()
    try:
        wait_until(lambda: any("node affinity/selector" in why for why in gpu.unschedulable()), 60)
        assert any(each["status"]["phase"] == "Running" for each in cluster.pods("keras"))
        with gpu.gpu_node():
            cluster.rolled_out("keras", 90)
            cluster.helm("rollback", "--wait", "--timeout=180s")
    finally:
        cluster.helm("rollback", "1", "--wait", "--timeout=180s")
