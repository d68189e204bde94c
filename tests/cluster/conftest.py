"""The release that the cluster tests share."""

from collections.abc import Iterator

import pytest

from tests.cluster import cluster


@pytest.fixture(scope="session")
def release() -> Iterator[None]:
    """Install Marquee with the local values, in its own namespace that admits only restricted pods."""
    if reason := cluster.missing():
        pytest.skip(reason)
    with cluster.namespaced(cluster.NAMESPACE):
        cluster.install()
        yield
