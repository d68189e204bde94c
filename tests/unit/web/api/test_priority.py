"""Requests of the HTTP API that let others go first."""

from pathlib import Path

import httpx
import pytest

from tests.support.processes import PATIENCE
from tests.support.servers import picture
from tests.support.stage import stage

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("headers", "is_batch"), [({"Marquee-Priority": "batch"}, True), ({}, False)])
async def test_the_header_lowers_the_priority(tmp_path: Path, headers: dict[str, str], *, is_batch: bool) -> None:
    """The gateway gets what a program says of its request, and recognizers get it from the gateway."""
    async with (
        stage(tmp_path) as here,
        httpx.AsyncClient(base_url=here.url, timeout=PATIENCE, trust_env=False) as client,
    ):
        answer = await client.post("/v1/recognize", files={"image": picture()}, headers=headers)
        assert answer.status_code == 200
        assert here.recognizers["svm"].are_batch == [is_batch]
