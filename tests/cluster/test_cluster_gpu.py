"""Tests of the Keras pod on nodes with GPUs, which are simulated: counted, but used by nobody."""

import shutil
from collections.abc import Iterator

import pytest

from tests.cluster import cluster, gpu
from tests.cluster.loads import under_load
from tests.cluster.scaling import running_pods
from tests.support.processes import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("_own_node"), pytest.mark.timeout(600)]
_CHANGE = "--set=recognizers.keras.env.MARQUEE_LOG_LEVEL=warning"


@pytest.fixture
def _own_node(release: None) -> Iterator[None]:  # noqa: ARG001 - installs the pods
    if not shutil.which("node-ctr"):
        pytest.skip("node-ctr is not on PATH: these tests change a node, so they run only on a test cluster")
    yield
    cluster.restore()


def test_pod_waits_for_a_gpu_node_and_is_replaced_on_its_only_gpu() -> None:
    """The pod says that it waits for a node with a GPU, on which `helm upgrade --wait` then replaces it."""
    gpu.request_gpus()
    wait_until(lambda: any("node affinity/selector" in message for message in gpu.unschedulable()))
    with gpu.gpu_node():
        cluster.wait_for_rollout("keras", 90)
        before = cluster.pod_names("keras")
        gpu.request_gpus(1, _CHANGE, "--wait", "--timeout=120s")
        assert all(cluster.is_ready(each) for each in cluster.pods("keras"))
        assert not set(before) & set(cluster.pod_names("keras"))


def test_two_pods_are_replaced_on_two_gpus_without_a_gap() -> None:
    """Every call is answered, by one pod or the other, while each is replaced on the GPU that it had."""
    with gpu.gpu_node(2):
        gpu.request_gpus(2, "--wait", "--timeout=120s")
        with running_pods("keras", 2) as counts:
            report = under_load("gpus", 150, _replace)
    assert min(counts) == 1
    assert report["failed"] == [], report


def _replace() -> None:
    gpu.request_gpus(2, _CHANGE)
    cluster.wait_for_rollout("keras")
