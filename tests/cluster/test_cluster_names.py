"""Tests of releases with names of every length, beside each other: installed, changed, removed without leftovers."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from helm.generate import CHART
from tests.cluster import cluster
from tests.cluster.releases import LONG, Release, leftovers
from tests.support.processes import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
_SPACES = (f"{cluster.NAMESPACE}-names", f"{cluster.NAMESPACE}-more-names")
_OWN = (
    "recognizers.keras=null",
    "recognizers.rekognition=null",
    "gateway.order=null",
    "gateway.file.veto=null",
    "web.enabled=false",
    "priorityClass.create=true",
    "gateway.replicas=1",
    "defaults.drain.delaySeconds=1",
    "gateway.drain.seconds=1",
)


_BESIDE = (Release(LONG, _SPACES[0], _OWN), Release("b", _SPACES[0], _OWN))
# As charts before this one called it, which cut names without a hash.
_BEFORE = LONG[:40].rstrip("-")
_OLD = Release(LONG, _SPACES[1], (*_OWN, f"fullnameOverride={_BEFORE}"))


@pytest.fixture(scope="module")
def spaces() -> Iterator[None]:
    """Make two namespaces that admit only restricted pods."""
    with cluster.namespaced(_SPACES[0]), cluster.namespaced(_SPACES[1]):
        yield


@pytest.mark.usefixtures("spaces")
@pytest.mark.parametrize(
    ("name", "override"),
    [("a", ""), ("marquee-" + "b" * 32, ""), (LONG, ""), ("a", "f" * 63), ("1.2", "n")],
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
    refused = Release(LONG, _OLD.namespace, _OWN).helm("upgrade", "--dry-run=server", check=False)
    assert f"set it to {_BEFORE}" in refused
    change = ("--set=gateway.env.MARQUEE_LOG_LEVEL=warning",)
    _each(releases, lambda release: release.helm("upgrade", "--wait", *change))
    _each(releases, lambda release: release.helm("uninstall", "--wait"))
    for namespace in _SPACES:
        wait_until(lambda namespace=namespace: not leftovers(namespace))  # type: ignore[misc]
    classes = cluster.run("kubectl", "get", "priorityclasses", "--output=name")
    assert not any(namespace in classes for namespace in _SPACES)


def _each(releases: tuple[Release, ...], command: Callable[[Release], str]) -> list[str]:
    with ThreadPoolExecutor(len(releases)) as threads:
        return list(threads.map(command, releases))
