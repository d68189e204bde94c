"""Functions that change who decides how many pods there are, and count those that run."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from subprocess import PIPE

from tests.cluster import cluster
from tests.support.processes import spawn, wait_until

_LINE = r"jsonpath={.metadata.name} {.status.phase} {.metadata.deletionTimestamp}{'\n'}"


def set_autoscaling(kind: str, pods: int) -> None:
    """Upgrade the release to so many pods of keras, of which an autoscaler would need one less."""
    scaling = {"autoscaling.type": kind, "autoscaling.minReplicas": pods - 1, "replicas": pods}
    arguments = [f"--set=recognizers.keras.{key}={value}" for key, value in scaling.items()]
    cluster.upgrade(*arguments, "--wait", "--timeout=180s")


def hpa_has_looked(pods: int) -> bool:
    """Return whether the HPA of keras has counted so many pods."""
    (hpa,) = cluster.get("hpa", "--field-selector=metadata.name=marquee-keras")
    return bool(hpa.get("status", {}).get("currentReplicas") == pods)


@contextmanager
def running_pods(component: str, number: int, namespace: str = cluster.NAMESPACE) -> Iterator[list[int]]:
    """Yield a list of how many pods run and are not being deleted: `number` at first, then one entry a change."""
    selector = f"--selector=app.kubernetes.io/component={component}"
    command = ["kubectl", "--namespace", namespace, "get", "pods", selector, "--watch", f"--output={_LINE}"]
    counts: list[int] = []
    with spawn(command, stdout=PIPE, text=True) as process:
        reader = threading.Thread(target=_count, args=(process.stdout, counts))
        reader.start()
        wait_until(lambda: counts[-1:] == [number])
        del counts[:-1]
        yield counts
        assert process.poll() is None, "the watch ended"
    reader.join()


def _count(lines: Iterable[str], counts: list[int]) -> None:
    running: set[str] = set()
    for line in lines:
        name, phase, *deleted = line.split()
        if phase == "Running" and not deleted:
            running.add(name)
        else:
            running.discard(name)
        counts.append(len(running))
