"""Functions that give a node a simulated GPU, and inspect the Keras pod that waits for it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from helm.generate import CHART
from tests.cluster import cluster

_GPU = "nvidia.com/gpu"
_LABEL = f"{_GPU}.present"


def request_one() -> None:
    """Upgrade the release so that the Keras pod requests a GPU; the stand-in for TensorFlow Serving stays."""
    image = cluster.containers("keras")["serving"]["image"]
    arguments = ("--set=recognizers.keras.serving.gpu=true", f"--set=recognizers.keras.serving.image.gpu={image}")
    cluster.helm("upgrade", str(CHART), *cluster.values(), *arguments)


def unschedulable() -> list[str]:
    """Return the messages that say why Keras pods are unschedulable."""
    conditions = [condition for pod in cluster.pods("keras") for condition in pod["status"].get("conditions", [])]
    return [each["message"] for each in conditions if each.get("reason") == "Unschedulable"]


@contextmanager
def gpu_node() -> Iterator[None]:
    """Give the first node a GPU node's label and one allocatable GPU; remove both afterwards."""
    name = json.loads(cluster.run("kubectl", "get", "nodes", "--output=json"))["items"][0]["metadata"]["name"]
    cluster.run("kubectl", "label", "node", name, f"{_LABEL}=true")
    _set_gpus(name, "1")
    try:
        yield
    finally:
        cluster.run("kubectl", "label", "node", name, f"{_LABEL}-")
        _set_gpus(name, None)


def _set_gpus(node: str, gpus: str | None) -> None:
    status = {"status": {"capacity": {_GPU: gpus}, "allocatable": {_GPU: gpus}}}
    cluster.run("kubectl", "patch", "node", node, "--subresource=status", "--type=merge", "--patch", json.dumps(status))
