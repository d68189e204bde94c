"""Tests of how pods are placed on many nodes, which kwok simulates: bindings are real, but nothing runs."""

import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from helm.generate import CHART
from tests.cluster import cluster
from tests.support.processes import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
_NAMESPACE = "marquee-nodes"
_NODE_LABEL = "marquee.test/simulated"
_ZONES = ("a", "b", "c")
_NODES_PER_ZONE = 10
_GATEWAYS = 60
_GPU_NODE = "simulated-gpu"
_ROOM = {"cpu": "1k", "memory": "1Ti", "pods": "1k", "ephemeral-storage": "1Ti"}


@pytest.fixture(scope="module")
def _installed() -> Iterator[None]:
    """Install the chart with default values and 60 gateways, all on simulated nodes, of which one has a GPU."""
    with _simulation():
        arguments = [
            f"--set=gateway.replicas={_GATEWAYS}",
            f"--set-string=defaults.nodeSelector.{_escaped(_NODE_LABEL)}=true",
        ]
        arguments.append(f"--set-string=recognizers.keras.serving.nodeSelector.{_escaped(_NODE_LABEL)}=true")
        options = ["--create-namespace", "--wait", "--timeout=180s", *arguments]
        cluster.run("helm", "install", "marquee", str(CHART), f"--namespace={_NAMESPACE}", *options)
        yield


@pytest.mark.usefixtures("_installed")
def test_gateways_are_spread_and_move_when_a_zone_is_emptied() -> None:
    """On 30 nodes, zones differ by at most one of 60 pods; when a zone is emptied, the others take all pods."""
    spread = _gateways_by_zone()
    assert sum(spread.values()) == _GATEWAYS
    assert max(spread.values()) - min(spread[zone] for zone in _ZONES) <= 1
    cluster.run("kubectl", "cordon", f"--selector=topology.kubernetes.io/zone={_ZONES[0]}")
    removed = [pod["metadata"]["name"] for pod in cluster.pods(namespace=_NAMESPACE) if _zone(pod) == _ZONES[0]]
    cluster.kubectl("delete", "pod", *removed, "--wait=false", namespace=_NAMESPACE)
    wait_until(lambda: sum(_gateways_by_zone().values()) == _GATEWAYS, 120)
    assert _gateways_by_zone()[_ZONES[0]] == 0


@pytest.mark.usefixtures("_installed")
def test_only_keras_is_on_the_gpu_node() -> None:
    """The GPU node's taint keeps other pods away."""
    on_gpu = [pod for pod in cluster.pods(namespace=_NAMESPACE) if pod["spec"].get("nodeName") == _GPU_NODE]
    assert {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in on_gpu} == {"keras"}


@contextmanager
def _simulation() -> Iterator[None]:
    kwok = shutil.which("kwok")
    if kwok is None:
        pytest.skip("kwok is not on PATH: it simulates nodes; install it from kwok.sigs.k8s.io")
    selector = "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake"
    command = [kwok, f"--kubeconfig={os.environ['KUBECONFIG']}", selector]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _make_nodes()
        yield
    finally:
        cluster.run("kubectl", "delete", "namespace", _NAMESPACE, "--ignore-not-found", "--timeout=120s")
        cluster.run("kubectl", "delete", "nodes", f"--selector={_NODE_LABEL}")
        process.terminate()
        process.wait(10)


def _make_nodes() -> None:
    nodes = [_node(f"simulated-{zone}-{number}", zone, _ROOM) for zone in _ZONES for number in range(_NODES_PER_ZONE)]
    gpu = _node(_GPU_NODE, _ZONES[1], _ROOM | {"nvidia.com/gpu": "1"})
    gpu["metadata"]["labels"]["nvidia.com/gpu.present"] = "true"
    gpu["spec"]["taints"] = [{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}]
    items = {"apiVersion": "v1", "kind": "List", "items": [*nodes, gpu]}
    cluster.run("kubectl", "apply", "--filename=-", stdin=json.dumps(items))
    cluster.run("kubectl", "wait", "nodes", f"--selector={_NODE_LABEL}", "--for=condition=Ready", "--timeout=60s")


def _node(name: str, zone: str, room: dict[str, str]) -> cluster.Object:
    labels = {_NODE_LABEL: "true", "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone}
    metadata = {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}}
    status = {"capacity": room, "allocatable": room}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {}, "status": status}


def _gateways_by_zone() -> Counter[str]:
    """Return zone → number of running gateways."""
    return Counter(_zone(pod) for pod in cluster.pods("gateway", _NAMESPACE) if pod["status"]["phase"] == "Running")


def _zone(pod: cluster.Object) -> str:
    """Return the pod's zone, which is part of a simulated node's name."""
    zone: str = pod["spec"].get("nodeName", "-nowhere").split("-")[1]
    return zone


def _escaped(label: str) -> str:
    """Return the label with its dots escaped, as helm's --set requires."""
    return label.replace(".", r"\.")
