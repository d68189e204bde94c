"""Tests of the Keras pod on nodes with a GPU."""

import shutil

import pytest

from tests.cluster import cluster, gpu
from tests.support.processes import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("release"), pytest.mark.timeout(600)]


def test_pod_waits_for_a_gpu_node_and_says_why() -> None:
    """The pod stays Pending because of its node selector while the old pod serves, and runs once a node has a GPU."""
    if not shutil.which("node-ctr"):
        pytest.skip("node-ctr is not on PATH: this test changes a node, so it runs only on a test cluster")
    gpu.request_one()
    try:
        wait_until(lambda: any("node affinity/selector" in message for message in gpu.unschedulable()))
        assert any(each["status"]["phase"] == "Running" for each in cluster.pods("keras"))
        with gpu.gpu_node():
            cluster.wait_for_rollout("keras", 90)
            cluster.helm("rollback", "--wait", "--timeout=180s")
    finally:
        cluster.helm("rollback", "1", "--wait", "--timeout=180s")
