"""docs/http-api.md: its commands work as they stand there."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.pictures import demo
from tests.support.processes import ROOT, run
from tests.support.stage import stage

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

DOCUMENT = (ROOT / "docs/http-api.md").read_text()
COMMANDS = [
    command
    for block in re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)
    for command in re.split(r"\n(?=\S)", block.strip())
]
"""Each begins at the margin; lines that belong to one are indented."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with stage(tmp_path_factory.mktemp("docs")) as here:
        yield here.url


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_command_works(url: str, tmp_path: Path, command: str) -> None:
    """Each command, pasted into a shell beside a picture, is answered, and not with an error."""
    (tmp_path / "picture.jpg").write_bytes(demo()["both"])
    environment = os.environ | {"no_proxy": "*", "MARQUEE_TOKEN": "mq_any"}
    here = command.replace("http://localhost:8080", url).replace("curl ", "curl --silent --show-error --fail ")
    done = await asyncio.to_thread(run, ["bash", "-c", here], cwd=tmp_path, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r'"(results|recognizers)": ', done.stdout)
