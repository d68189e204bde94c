"""An enroller behind a server, for the runtime's tests."""

from collections.abc import AsyncIterator

import pytest

from marquee.v1.enrollment_pb2_grpc import EnrollmentServiceStub
from tests.support.enrollers import ScriptedEnroller, client, enrolling


@pytest.fixture
def enroller() -> ScriptedEnroller:
    return ScriptedEnroller()


@pytest.fixture
async def svm(enroller: ScriptedEnroller) -> AsyncIterator[EnrollmentServiceStub]:
    async with enrolling(enroller) as address, client(address) as stub:
        yield stub
