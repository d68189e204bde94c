"""What unit tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.enrollment_servers import EnrollmentServers, enrollment_servers, portraits


@pytest.fixture(scope="session")
def _enrollment_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EnrollmentServers]:
    with enrollment_servers(tmp_path_factory.mktemp("enrollment")) as servers:
        yield servers


@pytest.fixture
def enrolling(_enrollment_servers: EnrollmentServers) -> Iterator[EnrollmentServers]:
    """Servers with nobody enrolled; the model was trained on Eileen Collins and Grace Hopper."""
    yield _enrollment_servers
    _enrollment_servers.forget_all()


@pytest.fixture
def portraits_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """hopper.jpg, collins.jpg, both.jpg and coffee.jpg in the working directory; tables are not folded."""
    portraits(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "240")


@pytest.fixture
def servers(enrolling: EnrollmentServers, monkeypatch: pytest.MonkeyPatch) -> EnrollmentServers:
    """The same, the gateway's address being MARQUEE_ADDRESS."""
    monkeypatch.setenv("MARQUEE_ADDRESS", enrolling.gateway)
    return enrolling
