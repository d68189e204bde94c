"""The page in Chromium, in front of scripted recognizers."""

import pytest
from playwright.async_api import Browser

from tests.support.browser import axe, visitor
from tests.support.stage import Stage

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_on_the_first_view(browser: Browser, stage: Stage, scheme: str) -> None:
    """Axe finds no fault with the empty page."""
    async with visitor(browser, stage.url, color_scheme=scheme) as page:
        await page.goto("/")
        assert await axe(page) == []
