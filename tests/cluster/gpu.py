"""A node that gets a GPU to count, and the Keras pod that waits for it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from helm.generate import CHART
from tests.cluster import cluster

_GPU = "nvidia.com/gpu"
_LABEL = f"{_GPU}.present"


def ask_for_one() -> None:
    """Upgrades the release to a Keras pod that wants a GPU; the stand-in for TensorFlow Serving stays."""
    image = cluster.containers("keras")["serving"]["image"]
    arguments = ("--set=recognizers.keras.serving.gpu=true", f"--set=recognizers.keras.serving.image.gpu={image}")
    cluster.helm("upgrade", str(CHART), *cluster.values(), *arguments)


def unschedulable() -> list[str]:
    """Why Keras pods wait."""
    conditions = [one for each in cluster.pods("keras") for one in each["status"].get("conditions", [])]
    return [one["message"] for one in conditions if one.get("reason") == "Unschedulable"]


@contextmanager
def gpu_node() -> Iterator[None]:
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
