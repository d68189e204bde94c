"""Chromium as visitors of the page use it, driven by Playwright. What a page complains of fails the test."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from tests.support.processes import PATIENCE, ROOT

_AXE = ROOT / "services/web/node_modules/axe-core/axe.min.js"
_FLAGS = ("--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
Visit = Callable[..., AbstractAsyncContextManager[Page]]
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
expect.set_options(timeout=PATIENCE * 1000)


@asynccontextmanager
async def chromium(*flags: str) -> AsyncIterator[Browser]:
    """Start Debian's Chromium, with a camera that shows a test picture; skip the test if it is not installed."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not on PATH: install Debian's package chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*_FLAGS, *flags])
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def visitor(browser: Browser, url: str, *, tolerate: str = "", **options: Any) -> AsyncIterator[Page]:
    """Yield a blank page of a new visitor of the site; fail at the end if it logged an error or broke its policy.

    Errors in which the expression `tolerate` is found are let pass. Options are those of a browser context.
    """
    options = {"viewport": DESKTOP, "reduced_motion": "reduce"} | options
    context = await browser.new_context(base_url=url, **options)
    context.set_default_timeout(PATIENCE * 1000)
    faults: list[str] = []
    page = await context.new_page()
    watch(page, faults)
    try:
        yield page
    finally:
        await context.close()
    remaining = [fault for fault in faults if not (tolerate and re.search(tolerate, fault))]
    assert not remaining, remaining


def watch(page: Page, faults: list[str]) -> None:
    """Note errors and warnings of the page's console, where Chromium reports broken policies, too."""

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            faults.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    page.on("console", note)
    page.on("pageerror", lambda error: faults.append(f"thrown: {error}"))


async def drag(page: Page, *files: Path) -> None:
    """Drag files from outside over the middle of the page."""
    await _drag(page, files, "dragEnter", "dragOver")


async def drop(page: Page, *files: Path) -> None:
    """Drag files over the middle of the page, as a person does, and drop them."""
    await _drag(page, files, "dragEnter", "dragOver", "drop")


async def _drag(page: Page, files: Sequence[Path], *events: str) -> None:
    session = await page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
    size = page.viewport_size or DESKTOP
    place = {"x": size["width"] // 2, "y": size["height"] // 2}
    for event in events:
        await session.send("Input.dispatchDragEvent", {"type": event, "data": data, **place})


async def holds(page: Page, expression: str) -> None:
    """Wait until the expression is true. Playwright's own way has the page evaluate it, which its policy forbids."""
    async with asyncio.timeout(PATIENCE):
        while not await page.evaluate(expression):  # noqa: ASYNC110 - the condition is in another process
            await asyncio.sleep(0.02)


async def axe(page: Page, *rules: str) -> list[str]:
    """Return what axe finds wrong with the page as it is, by all rules or these: rule, element and how to mend it."""
    if not _AXE.exists():
        pytest.skip(f"{_AXE} is not there: `make test` installs it")
    # Evaluated by the debugger, which the page's policy does not bind.
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(f"{_AXE.read_text()}; undefined")
    found = await page.evaluate(
        """async rules => (await axe.run(document, {
             resultTypes: ["violations"], ...(rules.length ? {runOnly: rules} : {}),
           })).violations""",
        rules,
    )
    return [f"{rule['id']}: {node['html'][:200]} {node['failureSummary']}" for rule in found for node in rule["nodes"]]


async def layout_shift(page: Page) -> float:
    """Return how far the page's content has moved of itself so far, as Cumulative Layout Shift."""
    return float(
        await page.evaluate(
            """() => new Promise(resolve => {
                 const observer = new PerformanceObserver(() => {});
                 observer.observe({type: "layout-shift", buffered: true});
                 setTimeout(() => resolve(observer.takeRecords()
                   .filter(shift => !shift.hadRecentInput).reduce((sum, shift) => sum + shift.value, 0)), 50);
               })"""
        )
    )
