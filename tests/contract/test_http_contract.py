"""The contract over HTTP: what holds for every RecognizerService holds for the gateway behind Connect, too."""

from collections.abc import AsyncIterator

import httpx
import pytest

from marquee.v1 import recognizer_pb2
from tests.contract.test_contract import (  # noqa: F401 - pytest finds the tests here, with this file's stub
    picture,
    test_answers_concurrent_calls,
    test_given_faces_are_described_in_their_order,
    test_keeps_the_deadline,
    test_lists_its_recognizers,
    test_makes_a_request_id,
    test_recognizes_an_s3_object,
    test_recognizes_bytes,
    test_refuses,
    test_refuses_a_truncated_picture,
    test_refuses_an_object,
    test_returns_the_pictures_size_and_format,
    test_survives_cancelled_calls,
    test_the_stream_merges_into_the_answer,
    test_unsupported_features_are_skipped,
)
from tests.support.connect import ConnectStub
from tests.support.processes import PATIENCE, LocalSystem

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> str:
    return "gateway"


@pytest.fixture(params=["json", "proto"])
async def stub(system: LocalSystem, request: pytest.FixtureRequest) -> AsyncIterator[ConnectStub]:
    service = recognizer_pb2.DESCRIPTOR.services_by_name["RecognizerService"]
    async with httpx.AsyncClient(base_url=system.page_url, timeout=PATIENCE, trust_env=False) as client:
        yield ConnectStub(client, service, request.param)
