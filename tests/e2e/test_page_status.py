"""The status page in Chromium."""

import pytest
from playwright.async_api import expect

from tests.support.browser import Visit, holds

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
ASK_AGAIN = 5_100


async def test_keeps_focus_and_scroll_while_it_asks_again(visit: Visit) -> None:
    """What has changed appears of itself; a visitor's focus and place in the page stay."""
    async with visit(viewport={"width": 390, "height": 500}) as page:
        await page.clock.install()
        await page.goto("/status")
        await page.get_by_role("link", name="Ask again").focus()
        await holds(page, "scrollTo(0, 300), scrollY == 300")  # as soon as the page is long enough
        heading = page.get_by_role("heading", name="svm")
        await heading.evaluate("node => { window.kept = node }")
        async with page.expect_response("**/status/recognizers"):
            await page.clock.run_for(ASK_AGAIN)
        await expect(page.get_by_role("link", name="Ask again")).to_be_focused()
        assert await page.evaluate("[scrollY, window.kept.isConnected]") == [300, True]
