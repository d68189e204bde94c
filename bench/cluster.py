"""Times Marquee in the cluster that KUBECONFIG names: its start, and the Keras pod's once a node has a GPU.

usage: PYTHONPATH=. python bench/cluster.py

Images are as for `make test-cluster`. The first node is labelled and its GPU is counted, not used: the stand-in for
TensorFlow Serving runs. Prints Markdown rows and takes everything away again.
"""

import time

from helm.generate import CHART
from tests.cluster import cluster, gpu
from tests.support.processes import wait_until


def main() -> None:
    """Installs and measures."""
    cluster.run("kubectl", "create", "namespace", cluster.NAMESPACE)
    try:
        begin = time.monotonic()
        cluster.helm("install", str(CHART), *cluster.values(), "--wait", "--timeout=180s")
        _print("`helm install --wait` until everything is ready, images present", begin)
        gpu.ask_for_one()
        wait_until(lambda: bool(gpu.unschedulable()), 60)
        with gpu.gpu_node():
            begin = time.monotonic()
            wait_until(_all_run, 120)
            _print("Keras pod: from the node's first GPU until its containers run", begin)
            cluster.rolled_out("keras")
            _print("… until it is ready, its model fetched and loaded", begin)
    finally:
        cluster.run("kubectl", "delete", "namespace", cluster.NAMESPACE, "--timeout=120s")


def _all_run() -> bool:
    return all(each["status"]["phase"] == "Running" for each in cluster.pods("keras"))


def _print(what: str, begin: float) -> None:
    print(f"| {what} | {time.monotonic() - begin:.1f} s |", flush=True)


if __name__ == "__main__":
    main()
