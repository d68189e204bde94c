"""The release that the cluster tests share."""

import json
from collections.abc import Iterator

import pytest

from helm.generate import CHART
from tests.cluster import cluster


@pytest.fixture(scope="session")
def release() -> Iterator[None]:
    """Install Marquee with the local values, in its own namespace that admits only restricted pods."""
    if reason := cluster.missing():
        pytest.skip(reason)
    cluster.run("kubectl", "apply", "--filename=-", stdin=json.dumps(_namespace()))
    cluster.helm("install", str(CHART), *cluster.values(), "--wait", f"--timeout={cluster.READY_SECONDS}s")
    yield
    cluster.run("kubectl", "delete", "namespace", cluster.NAMESPACE, "--timeout=120s")


def _namespace() -> cluster.Object:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": cluster.NAMESPACE, "labels": labels}}
