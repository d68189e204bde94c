"""A library over a gateway with one recognizer, which the client's and the command's tests call."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from marquee.v1 import recognizer_pb2 as pb
from tests.support.library import library_server
from tests.support.servers import LEFT, RIGHT, Scripted, face, gateway, leaf, result


@pytest.fixture
def recognizer() -> Scripted:
    """Find Anna, somebody unknown and a boat in every picture, for 7 millionths of a dollar."""
    boat = pb.Label(name="Boat", score=0.5, parents=["Vehicle"])
    found = result("svm", face(LEFT, "Anna"), face(RIGHT), labels=[boat], cost_micro_usd=7)
    return Scripted("svm", result=found)


@pytest.fixture
async def address(
    recognizer: Scripted, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[str]:
    """Serve the library at MARQUEE_LIBRARY_ADDRESS. Its log, which would be among the command's output, is dropped."""
    with capture_logs():
        async with (
            leaf(recognizer) as target,
            gateway({"svm": target}) as gateway_address,
            library_server(database_url, tmp_path / "store", gateway_address) as address,
        ):
            monkeypatch.setenv("MARQUEE_LIBRARY_ADDRESS", address)
            yield address
