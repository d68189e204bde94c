"""What the tests of the page share: Chromium, and a page in front of scripted recognizers."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.support.browser import Visit, chromium, visitor
from tests.support.pictures import demo
from tests.support.stage import Stage
from tests.support.stage import stage as serve_stage


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with serve_stage(tmp_path_factory.mktemp("page")) as stage:
        yield stage


@pytest.fixture
def stage(shared_stage: Stage) -> Stage:
    shared_stage.reset()
    return shared_stage


@pytest.fixture
def visit(browser: Browser, stage: Stage) -> Visit:
    """Return what opens a blank page of a new visitor of the stage; see tests.support.browser.visitor."""
    return partial(visitor, browser, stage.url)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write the demo's pictures; return their files by name: collins, hopper, both and coffee."""
    folder = tmp_path_factory.mktemp("pictures")
    files = {name: folder / f"{name}.jpg" for name in demo()}
    for name, content in demo().items():
        files[name].write_bytes(content)
    return files
