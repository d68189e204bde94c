"""Releases of any name beside each other, and what they leave behind."""

from dataclasses import dataclass

from helm.generate import CHART
from tests.cluster import cluster

LONG = "a-release-whose-name-has-all-letters-that-helm-admits"
_EVERYWHERE = {"configmap/kube-root-ca.crt", "serviceaccount/default"}


@dataclass(frozen=True)
class Release:
    """A release of the local values."""

    name: str
    namespace: str
    own: tuple[str, ...] = ()
    """What it sets besides, as `key=value`."""

    def helm(self, command: str, *arguments: str, check: bool = True) -> str:
        """Run a helm command on the release; return its output and errors."""
        if command in {"install", "upgrade"}:
            arguments = (str(CHART), *cluster.values(), *(f"--set={value}" for value in self.own), *arguments)
        line = ["helm", command, self.name, *arguments, "--namespace", self.namespace, "--timeout=180s"]
        return cluster.run("sh", "-c", 'exec "$@" 2>&1', "sh", *line, check=check)


def leftovers(namespace: str) -> set[str]:
    """Return all that is in a namespace, but for what happened there and what every namespace has."""
    kinds = cluster.run("kubectl", "api-resources", "--namespaced", "--verbs=list,delete", "--output=name").split()
    kept = ",".join(kind for kind in kinds if not kind.startswith("events"))
    return set(cluster.kubectl("get", kept, "--output=name", namespace=namespace).split()) - _EVERYWHERE
