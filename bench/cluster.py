"""Time the start of Marquee in KUBECONFIG's cluster, and that of the Keras pod once a node has a GPU.

usage: PYTHONPATH=. python bench/cluster.py

Needs the same images as `make test-cluster`. The first node is labelled and advertises a GPU that nothing uses: the
stand-in for TensorFlow Serving runs. Prints Markdown rows and removes everything it installed.
"""

import time

from helm.generate import CHART
from tests.cluster import cluster, gpu
from tests.support.processes import wait_until


def main() -> None:
    """Install, measure and uninstall."""
    cluster.run("kubectl", "create", "namespace", cluster.NAMESPACE)
    try:
        begin = time.monotonic()
        cluster.helm("install", str(CHART), *cluster.values(), "--wait", "--timeout=180s")
        _print("`helm install --wait` until everything is ready, images present", begin)
        gpu.request_one()
        wait_until(lambda: bool(gpu.unschedulable()), 60)
        with gpu.gpu_node():
            begin = time.monotonic()
            wait_until(_all_run, 120)
            _print("Keras pod: from the node's first GPU until its containers run", begin)
            cluster.wait_for_rollout("keras")
            _print("… until it is ready, its model fetched and loaded", begin)
    finally:
        cluster.run("kubectl", "delete", "namespace", cluster.NAMESPACE, "--timeout=120s")


def _all_run() -> bool:
    return all(pod["status"]["phase"] == "Running" for pod in cluster.pods("keras"))


def _print(what: str, begin: float) -> None:
    print(f"| {what} | {time.monotonic() - begin:.1f} s |", flush=True)


if __name__ == "__main__":
    main()
