"""Functions that give a node simulated GPUs, and inspect the Keras pods that ask for them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster import cluster

_GPU = "nvidia.com/gpu"
_LABEL = f"{_GPU}.present"


def request_gpus(pods: int = 1, *arguments: str) -> None:
    """Upgrade the release so that each Keras pod requests a GPU; the stand-in for TensorFlow Serving stays."""
    image = cluster.containers("keras")["serving"]["image"]
    values = {"replicas": pods, "serving.gpu": "true", "serving.image.gpu": image}
    options = [f"--set=recognizers.keras.{key}={value}" for key, value in values.items()]
    cluster.upgrade(*options, *arguments)


def unschedulable() -> list[str]:
    """Return the messages that say why Keras pods are unschedulable."""
    conditions = [condition for pod in cluster.pods("keras") for condition in pod["status"].get("conditions", [])]
    return [each["message"] for each in conditions if each.get("reason") == "Unschedulable"]


@contextmanager
def gpu_node(gpus: int = 1) -> Iterator[None]:
    """Give the first node a GPU node's label and allocatable GPUs; remove both afterwards."""
    name = json.loads(cluster.run("kubectl", "get", "nodes", "--output=json"))["items"][0]["metadata"]["name"]
    cluster.run("kubectl", "label", "node", name, f"{_LABEL}=true")
    _set_gpus(name, str(gpus))
    try:
        yield
    finally:
        cluster.run("kubectl", "label", "node", name, f"{_LABEL}-")
        _set_gpus(name, None)


def _set_gpus(node: str, gpus: str | None) -> None:
    status = {"status": {"capacity": {_GPU: gpus}, "allocatable": {_GPU: gpus}}}
    cluster.run("kubectl", "patch", "node", node, "--subresource=status", "--type=merge", "--patch", json.dumps(status))
