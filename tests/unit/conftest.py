"""What unit tests share."""

from collections.abc import Iterator

import pytest

from tests.unit.enrollment_servers import EnrollmentServers, enrollment_servers


@pytest.fixture(scope="session")
def _enrollment_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EnrollmentServers]:
    with enrollment_servers(tmp_path_factory.mktemp("enrollment")) as servers:
        yield servers


@pytest.fixture
def enrolling(_enrollment_servers: EnrollmentServers) -> Iterator[EnrollmentServers]:
    """Servers with nobody enrolled; the model was trained on Eileen Collins and Grace Hopper."""
    yield _enrollment_servers
    _enrollment_servers.forget_all()
