"""The page of the demo in Chromium: real recognizers, from the drop to the verdict."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.support.browser import Visit, visitor
from tests.support.processes import LocalSystem
from tests.support.states import done, recognize

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture
def demo(browser: Browser, system: LocalSystem) -> Visit:
    """Return what opens a page of a new visitor of the demo."""
    return partial(visitor, browser, str(system.facts["page_url"]))


async def test_two_pictures_get_three_cards_and_a_verdict_each(demo: Visit, system: LocalSystem) -> None:
    """Two pictures dropped at once have each recognizer's answer, and are named rightly."""
    folder = system.state / "pictures"
    async with demo() as page:
        await page.goto("/")
        await recognize(page, folder / "hopper.jpg", folder / "coffee.jpg")
        first, second = await page.get_by_role("article").all()
        for article in (first, second):
            await expect(article.locator("[data-recognizer][data-state=ok]")).to_have_count(3)
        await expect(first.locator(".headline")).to_have_text("Grace Hopper")
        await expect(first.locator(".box")).to_have_accessible_name("Grace Hopper, 100 %, 2 of 2 agree")
        await expect(second.locator(".headline")).to_have_text("No face here")


async def test_a_picture_in_s3(demo: Visit) -> None:
    """A picture is recognized by its address in S3."""
    async with demo() as page:
        await page.goto("/")
        await page.get_by_text("From S3").click()
        await page.get_by_label("Address of a picture").fill("s3://marquee-demo/collins.jpg")
        await page.keyboard.press("Enter")
        article = page.get_by_role("article")
        await done(article)
        await expect(article.locator(".headline")).to_have_text("Eileen Collins")


async def test_works_without_javascript(demo: Visit, system: LocalSystem) -> None:
    """A browser without scripts gets cards and verdict as a page."""
    async with demo(java_script_enabled=False) as page:
        await page.goto("/")
        await page.get_by_label("Choose pictures").set_input_files(system.state / "pictures" / "both.jpg")
        await page.get_by_role("button", name="Recognize", exact=True).locator("visible=true").click()
        await expect(page.locator("[data-recognizer]")).to_have_count(3)
        await expect(page.locator(".headline")).to_have_text("Eileen Collins and Grace Hopper")


async def test_a_dead_recognizer_is_shown_and_back_again(demo: Visit, system: LocalSystem, tmp_path: Path) -> None:
    """While a recognizer is dead its card and the status page say so; once it is back, so is its answer."""
    picture = tmp_path / "hopper.jpg"
    picture.write_bytes(system.picture("hopper.jpg") + b"new")  # of which no answer is remembered
    async with demo() as page:
        await page.goto("/")
        with _dead(system, "svm"):
            article = await recognize(page, picture)
            card = article.locator("[data-recognizer=svm]")
            await expect(card).to_have_attribute("data-state", "error")
            await expect(card).to_contain_text("Away")
            await expect(article.locator(".headline")).to_have_text("Grace Hopper")
            async with demo() as other:
                await other.goto("/status")
                await expect(other.get_by_role("region", name="svm")).to_contain_text("Away")
                system.process.send_signal(signal.SIGCONT)
                await expect(other.get_by_role("region", name="svm")).to_contain_text("Ready")
        await article.get_by_role("button", name="again").click()
        await expect(card).to_have_attribute("data-state", "ok")


async def test_a_face_is_enrolled_and_named(demo: Visit, system: LocalSystem) -> None:
    """A face that looks like another's is enrolled once its visitor says so; then it is named, until they undo it."""
    picture = system.state / "pictures" / "hopper.jpg"
    async with demo() as page, demo() as other:
        await page.goto("/")
        await other.goto("/")
        await recognize(page, picture)
        await page.locator(".box").click()
        await page.get_by_role("dialog").get_by_text("Enroll this face").click()
        window = page.get_by_role("dialog", name="Enroll this face")
        await window.get_by_label("Name", exact=True).fill("Twin")
        await window.get_by_role("button", name="Enroll", exact=True).click()
        await window.get_by_label("They are two people who look alike").check()
        await window.get_by_role("button", name="Enroll", exact=True).click()
        await expect(window).to_contain_text("Twin is enrolled")
        article = await recognize(other, picture)
        await expect(article.locator("[data-recognizer=svm]")).to_contain_text("Twin")
        await window.get_by_role("button", name="Undo").click()
        await expect(window.get_by_role("button", name="Undo")).to_have_count(0)
        await article.get_by_role("button", name="again").click()
        await expect(article.locator("[data-recognizer=svm]")).not_to_contain_text("Twin")


@contextmanager
def _dead(system: LocalSystem, part: str) -> Iterator[None]:
    """Kill a part, and keep the launcher from starting it again."""
    system.process.send_signal(signal.SIGSTOP)
    try:
        os.kill(int(system.facts["pids"][part]), signal.SIGKILL)
        yield
    finally:
        system.process.send_signal(signal.SIGCONT)
