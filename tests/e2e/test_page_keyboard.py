"""The Recognize page by keyboard alone in Chromium."""

import asyncio

import pytest
from playwright.async_api import FileChooser, Locator, Page, expect

from tests.support.browser import Visit
from tests.support.processes import PATIENCE
from tests.support.stage import Stage
from tests.support.states import Pictures, done, recognize

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def test_recognizes_walks_enrolls_and_undoes(visit: Visit, stage: Stage, pictures: Pictures) -> None:
    """All of it works by keys: choose a picture, walk the faces, open one's details, enroll it, take that back."""
    async with visit() as page:
        choosers: asyncio.Queue[FileChooser] = asyncio.Queue()
        page.on("filechooser", choosers.put_nowait)  # from the start: Chromium learns of it some time later
        await page.goto("/")
        await _tab_to(page, page.get_by_label("Choose pictures"))
        await page.keyboard.press("Enter")
        async with asyncio.timeout(PATIENCE):
            await (await choosers.get()).set_files(pictures["both"])
        await done(page.get_by_role("article"))
        left, right = await page.locator(".box").all()
        await _tab_to(page, left)
        await page.keyboard.press("ArrowRight")
        await expect(right).to_be_focused()
        await page.keyboard.press("Enter")
        await _tab_to(page, page.get_by_role("dialog").get_by_text("Enroll this face"))
        await page.keyboard.press("Enter")
        window = page.get_by_role("dialog", name="Enroll this face")
        await expect(window.get_by_label("Name", exact=True)).to_be_focused()
        await page.keyboard.type("Grace Hopper")
        await page.keyboard.press("Enter")
        await expect(window).to_contain_text("Grace Hopper is enrolled")
        await _tab_to(page, window.get_by_role("button", name="Undo"))
        await page.keyboard.press("Enter")
        await expect(window.get_by_role("button", name="Undo")).to_have_count(0)
        await page.keyboard.press("Escape")
        await expect(window).to_be_hidden()
    assert (len(stage.enroller.enrolled), len(stage.enroller.face_removals)) == (1, 1)


async def test_escape_leads_back(visit: Visit, pictures: Pictures) -> None:
    """Escape closes a face's details and gives the face the focus back; once more, it leaves the faces."""
    async with visit() as page:
        await page.goto("/")
        await recognize(page, pictures["both"])
        box = page.locator(".box").first
        await box.focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(box).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(box).not_to_be_focused()


async def test_focus_stays_where_it_is_when_results_come(visit: Visit, stage: Stage, pictures: Pictures) -> None:
    """Whoever reads a face while others answer keeps the focus on it."""
    stage.recognizers["svm"].until = lambda: False
    async with visit() as page:
        await page.goto("/")
        await page.get_by_label("Choose pictures").set_input_files(pictures["both"])
        box = page.locator(".box").first
        await box.focus()
        stage.reset()
        await done(page.get_by_role("article"))
        await expect(box).to_be_focused()
        await expect(box).to_have_accessible_name("Eileen Collins, 97 %, 2 of 2 agree")


async def test_skips_to_the_content(visit: Visit) -> None:
    """The first stop leads past the navigation."""
    async with visit() as page:
        await page.goto("/status")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("main")).to_be_focused()


async def _tab_to(page: Page, target: Locator) -> None:
    """Press Tab until the target has the focus; each stop on the way shows that it has it."""
    for _ in range(40):
        await page.keyboard.press("Tab")
        if await target.evaluate("node => node === document.activeElement"):
            return
    pytest.fail(f"{target} is not among the next 40 stops")
