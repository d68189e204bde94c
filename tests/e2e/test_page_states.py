"""Every state of every page in Chromium: nothing that keeps people out, and what a screen reader is given."""

import os
import re
from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.support.browser import Visit, axe, holds, layout_shift
from tests.support.stage import Stage
from tests.support.states import COMPLAINTS, STATES, Pictures, Scene

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
_SNAPSHOTS = Path(__file__).parent / "snapshots"
_WRITE = "MARQUEE_WRITE_SNAPSHOTS"
_READ_ALOUD = (
    "first-view",
    "options",
    "verdict",
    "details",
    "one-fails",
    "enrolled",
    "enroll-page",
    "status",
    "missing",
)
_PASSING = re.compile(r"\d+(\.\d+)? m?s\b|\d\d:\d\d:\d\d( [AP]M)?|data:[^\s\"]+")
"""Times and addresses, which differ from run to run."""
_LOG = re.compile(r'(- log "Progress":\n)((?: +- paragraph:.*\n)+)')


@pytest.mark.parametrize("name", STATES)
async def test_keeps_nobody_out(visit: Visit, stage: Stage, pictures: Pictures, name: str) -> None:
    """Axe finds no fault in either scheme, nothing has moved, and 320 pixels, a zoom of 400 %, are wide enough."""
    async with visit(tolerate=COMPLAINTS.get(name, "")) as page:
        await STATES[name](Scene(page, stage, pictures))
        assert await axe(page) == []
        await page.emulate_media(color_scheme="dark")
        assert await axe(page, "color-contrast") == []
        assert await layout_shift(page) == 0
        await page.set_viewport_size({"width": 320, "height": 640})
        await holds(page, "document.documentElement.scrollWidth <= 320")


@pytest.mark.parametrize("name", _READ_ALOUD)
async def test_reads_aloud_as_before(visit: Visit, stage: Stage, pictures: Pictures, name: str) -> None:
    """Roles, names and order of all that is on the page are as kept; MARQUEE_WRITE_SNAPSHOTS=1 keeps them anew."""
    async with visit(tolerate=COMPLAINTS.get(name, "")) as page:
        await STATES[name](Scene(page, stage, pictures))
        seen = await _read(page)
    kept = _SNAPSHOTS / f"{name}.yaml"
    if os.environ.get(_WRITE) == "1":
        kept.write_text(seen)
    assert seen == kept.read_text()


async def _read(page: Page) -> str:
    """Return what a screen reader is given; the lines of the log, which stand in the order of arrival, sorted."""
    seen = _PASSING.sub("…", await page.locator("body").aria_snapshot()) + "\n"
    return _LOG.sub(lambda log: log[1] + "".join(sorted(log[2].splitlines(keepends=True))), seen)


async def test_needs_no_colours_of_its_own(visit: Visit, stage: Stage, pictures: Pictures) -> None:
    """In forced colours faces keep their boxes, and buttons their borders."""
    async with visit(forced_colors="active") as page:
        await STATES["verdict"](Scene(page, stage, pictures))
        widths = await page.evaluate(
            """() => [".box", ".button.primary", ".card"].map(css =>
                 parseFloat(getComputedStyle(document.querySelector(css)).borderTopWidth))"""
        )
        assert min(widths) > 0


async def test_rests_for_who_wants_no_motion(visit: Visit, stage: Stage, pictures: Pictures) -> None:
    """Nothing moves for those who have asked for that."""
    async with visit(reduced_motion="reduce") as page:
        await STATES["half"](Scene(page, stage, pictures))
        assert await page.evaluate("document.getAnimations().length") == 0
