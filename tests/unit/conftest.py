"""Fixtures that unit tests share."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from local.stack import CREDENTIALS
from tests.support.enrollment_servers import EnrollmentServers, enrollment_servers, portraits


@pytest.fixture(scope="session")
def _enrollment_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EnrollmentServers]:
    with enrollment_servers(tmp_path_factory.mktemp("enrollment")) as servers:
        yield servers


@pytest.fixture
def enrolling(_enrollment_servers: EnrollmentServers) -> Iterator[EnrollmentServers]:
    """Yield servers with nobody enrolled, whose model was trained on Eileen Collins and Grace Hopper."""
    yield _enrollment_servers
    _enrollment_servers.forget_all()


@pytest.fixture
def aws_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the stand-ins' credentials and hide the machine's own AWS configuration."""
    for name in ("AWS_REGION", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    nowhere = str(tmp_path / "none")
    quiet = {"AWS_CONFIG_FILE": nowhere, "AWS_SHARED_CREDENTIALS_FILE": nowhere, "AWS_EC2_METADATA_DISABLED": "true"}
    for name, value in (CREDENTIALS | quiet).items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def rekognition() -> Iterator[SimpleNamespace]:
    """Yield Rekognition without a gallery and DynamoDB with the table, as `url`, `client` and `table_url`."""
    from tests.support.rekognition import rekognition_aws  # noqa: PLC0415 - loads moto and dlib, which few tests need

    with rekognition_aws() as running:
        yield running


@pytest.fixture
def collection(rekognition: SimpleNamespace) -> Iterator[str]:
    """Yield the name of an empty collection."""
    name = f"c-{uuid.uuid4().hex}"
    rekognition.client.create_collection(CollectionId=name)
    yield name
    rekognition.client.delete_collection(CollectionId=name)


@pytest.fixture
def portraits_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put hopper.jpg, collins.jpg, both.jpg and coffee.jpg into the working directory."""
    portraits(tmp_path)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def servers(enrolling: EnrollmentServers, monkeypatch: pytest.MonkeyPatch) -> EnrollmentServers:
    """Return the enrollment servers, with MARQUEE_ADDRESS set to the gateway's address."""
    monkeypatch.setenv("MARQUEE_ADDRESS", enrolling.gateway)
    return enrolling
