"""Fixtures of the tests that enroll into a Rekognition collection."""

from collections.abc import AsyncIterator
from functools import partial
from types import SimpleNamespace

import pytest

from services.rekognition.enrollment.enroller import RekognitionEnroller
from services.rekognition.recognizer import RekognitionRecognizer
from tests.support.aws import scripted_aws
from tests.support.rekognition import OpenReplica, Replica, replica
from tests.support.rekognition_collection import Collection, Scripted


@pytest.fixture
def open_replica(rekognition: SimpleNamespace, collection: str) -> OpenReplica:
    """Return a function that opens a replica on the collection, with settings of its own."""
    return partial(replica, rekognition, collection)


@pytest.fixture
async def default_replica(open_replica: OpenReplica) -> AsyncIterator[Replica]:
    async with open_replica() as opened:
        yield opened


@pytest.fixture
def recognizer(default_replica: Replica) -> RekognitionRecognizer:
    return default_replica[0]


@pytest.fixture
def enroller(default_replica: Replica) -> RekognitionEnroller:
    return default_replica[1]


@pytest.fixture
async def scripted(rekognition: SimpleNamespace, request: pytest.FixtureRequest) -> AsyncIterator[Scripted]:
    name, collection = f"scripted-{abs(hash(request.node.name))}", Collection()
    with scripted_aws(collection) as aws:
        where = SimpleNamespace(url=aws.url, table_url=rekognition.table_url)
        async with replica(where, name, rekognition_attempts=1) as (_, enroller):
            yield Scripted(aws, collection, name, enroller)
