"""Tests of releases with names of every length, beside each other: installed, changed, removed without leftovers."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from helm.generate import CHART
from tests.cluster import cluster
from tests.support.processes import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
_SPACES = (f"{cluster.NAMESPACE}-names", f"{cluster.NAMESPACE}-more-names")
_LONG = "a-release-whose-name-has-all-letters-that-helm-admits"
_SMALL = ("recognizers.keras=null", "recognizers.rekognition=null", "web.enabled=false", "priorityClass.create=true")
_QUICK = ("defaults.drain.delaySeconds=1", "defaults.drain.seconds=1", "gateway.replicas=1")
_KEPT = {"configmap/kube-root-ca.crt", "serviceaccount/default"}


@dataclass(frozen=True)
class _Release:
    name: str
    namespace: str
    own: tuple[str, ...] = ()
    """Values of its own."""

    def helm(self, command: str, *arguments: str, values: tuple[str, ...] = (), check: bool = True) -> str:
        """Run a helm command on the release; return its output and errors."""
        sets = [f"--set={value}" for value in (*_SMALL, *_QUICK, *self.own, *values)]
        chart = [str(CHART), *cluster.values(), *sets, *arguments] if command in {"install", "upgrade"} else arguments
        line = ["helm", command, self.name, *chart, "--namespace", self.namespace, "--timeout=180s"]
        return cluster.run("sh", "-c", 'exec "$@" 2>&1', "sh", *line, check=check)


_BESIDE = (_Release(_LONG, _SPACES[0]), _Release("b", _SPACES[0]))
# As charts before this one called it, which cut names without a hash.
_OLD = _Release(_LONG, _SPACES[1], (f"fullnameOverride={_LONG[:40].rstrip('-')}",))


@pytest.fixture(scope="module")
def spaces() -> Iterator[None]:
    """Make two namespaces that admit only restricted pods."""
    if reason := cluster.missing():
        pytest.skip(reason)
    with cluster.namespaced(_SPACES[0]), cluster.namespaced(_SPACES[1]):
        yield


@pytest.mark.usefixtures("spaces")
@pytest.mark.parametrize(
    ("name", "override"),
    [("a", ""), ("marquee-" + "b" * 32, ""), (_LONG, ""), ("a", "f" * 63), ("1.2", "n")],
    ids=["1", "40", "53", "override of 63", "override of 1"],
)
def test_api_server_accepts_names_of_every_length(name: str, override: str) -> None:
    """Each object of a release passes the API server's validation, however long or short its name is."""
    command = ["helm", "template", name, str(CHART), *cluster.values(), f"--set=fullnameOverride={override}"]
    text = cluster.run(*command, f"--namespace={_SPACES[0]}", "--kube-version=1.34.0")
    output = cluster.kubectl("apply", "--dry-run=server", "--filename=-", stdin=text, namespace=_SPACES[0])
    assert output.count("(server dry run)") == text.count("\nkind: ")


@pytest.mark.usefixtures("spaces")
def test_releases_live_beside_each_other_and_leave_nothing() -> None:
    """Two releases in one namespace, and one of the same name in another, all recognize, change and go."""
    releases = (*_BESIDE, _OLD)
    _each(releases, lambda release: release.helm("install", "--wait"))
    assert all("svm OUTCOME_OK" in output for output in _each(releases, lambda release: release.helm("test")))
    refused = _Release(_OLD.name, _OLD.namespace).helm("upgrade", "--dry-run=server", check=False)
    assert f"set it to {_LONG[:40].rstrip('-')}" in refused
    change = ("gateway.env.MARQUEE_LOG_LEVEL=warning",)
    _each(releases, lambda release: release.helm("upgrade", "--wait", values=change))
    _each(releases, lambda release: release.helm("uninstall", "--wait"))
    for namespace in _SPACES:
        wait_until(lambda namespace=namespace: _objects(namespace) <= _KEPT)  # type: ignore[misc]
    classes = cluster.run("kubectl", "get", "priorityclasses", "--output=name")
    assert not any(namespace in classes for namespace in _SPACES)


def _each(releases: tuple[_Release, ...], command: Callable[[_Release], str]) -> list[str]:
    with ThreadPoolExecutor(len(releases)) as threads:
        return list(threads.map(command, releases))


def _objects(namespace: str) -> set[str]:
    """Return all that is in a namespace, but for what happened there."""
    kinds = cluster.run("kubectl", "api-resources", "--namespaced", "--verbs=list,delete", "--output=name").split()
    kept = ",".join(kind for kind in kinds if not kind.startswith("events"))
    return set(cluster.kubectl("get", kept, "--output=name", namespace=namespace).split())
