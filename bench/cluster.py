"""Measure Marquee in KUBECONFIG's cluster: its start, autoscalers that come and go, and updates on GPUs.

usage: PYTHONPATH=. [MARQUEE_LOAD_RATE=50 MARQUEE_LOAD_RETRIES=0] python bench/cluster.py

Needs the same images as `make test-cluster`. The first node is labelled and advertises GPUs that nothing uses: the
stand-in for TensorFlow Serving runs. Without a metrics server and KEDA's operator, it measures whether Helm leaves the
number of pods alone, not whether it is changed. Prints Markdown rows and removes everything it installed.
"""

import time
from collections.abc import Callable

from tests.cluster import cluster, gpu
from tests.cluster.loads import under_load
from tests.cluster.scaling import hpa_has_looked, running_pods, set_autoscaling
from tests.support.processes import wait_until

_PODS = 3


def main() -> None:
    """Install, measure and uninstall."""
    with cluster.namespaced(cluster.NAMESPACE):
        begin = time.monotonic()
        cluster.install()
        _print("`helm install --wait` until everything is ready, images present", begin)
        for kind in ("hpa", "keda"):
            _measure_autoscaling(kind)
        _measure_gpus()


def _measure_autoscaling(kind: str) -> None:
    def change() -> None:
        set_autoscaling(kind, _PODS)
        if kind == "hpa":
            wait_until(lambda: hpa_has_looked(_PODS))
        set_autoscaling("none", _PODS)

    set_autoscaling("none", _PODS)
    _measure_load(f"none → {kind} → none", _PODS, 75, change)


def _measure_gpus() -> None:
    gpu.request_gpus()
    wait_until(lambda: bool(gpu.unschedulable()), 60)
    with gpu.gpu_node():
        begin = time.monotonic()
        wait_until(_all_run, 120)
        _print("Keras pod: from the node's first GPU until its containers run", begin)
        cluster.wait_for_rollout("keras")
        _print("… until it is ready, its model fetched and loaded", begin)
        _update(1)
    with gpu.gpu_node(2):
        gpu.request_gpus(2, "--wait", "--timeout=180s")
        _measure_load("update of two pods on two GPUs", 2, 150, lambda: _update(2))


def _update(pods: int) -> None:
    begin = time.monotonic()
    gpu.request_gpus(pods, "--set=recognizers.keras.env.MARQUEE_LOG_LEVEL=warning")
    cluster.wait_for_rollout("keras")
    _print(f"`helm upgrade` of {pods} Keras pod(s) on as many GPUs, until all are new and ready", begin)


def _measure_load(what: str, pods: int, seconds: int, change: Callable[[], None]) -> None:
    with running_pods("keras", pods) as counts:
        report = under_load("load", seconds, change)
    lost = {outcome: count for outcome, count in report["outcomes"].items() if outcome != "OUTCOME_OK"}
    print(f"| {what} | fewest pods {min(counts)} | {report['calls']} calls | lost {lost or 0} |", flush=True)


def _all_run() -> bool:
    return all(pod["status"]["phase"] == "Running" for pod in cluster.pods("keras"))


def _print(what: str, begin: float) -> None:
    print(f"| {what} | {time.monotonic() - begin:.1f} s |", flush=True)


if __name__ == "__main__":
    main()
