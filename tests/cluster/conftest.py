"""The cluster that all tests here need, and the release that they share."""

from collections.abc import Iterator

import pytest

from tests.cluster import cluster


@pytest.fixture(scope="session", autouse=True)
def _cluster() -> None:
    """Skip the tests where there is no cluster, or nothing that talks to it."""
    if reason := cluster.missing():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def release() -> Iterator[None]:
    """Install Marquee with the local values, in its own namespace that admits only restricted pods."""
    with cluster.namespaced(cluster.NAMESPACE):
        cluster.install()
        yield
