"""Take the pictures of the pages in docs/pictures: each state in light and dark, on a desktop and on a phone.

usage: PYTHONPATH=. python docs/screenshots.py [--folder docs/pictures] [STATE …]

Scripted recognizers stand behind a real gateway and a real page, so that the pictures change with the pages alone.
Without states: all of them, and docs/page.webp, which the README shows.
"""

import argparse
import asyncio
import io
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser

from tests.support.browser import DESKTOP, PHONE, chromium, visitor
from tests.support.doors import line
from tests.support.pictures import demo
from tests.support.stage import Stage, stage
from tests.support.states import COMPLAINTS, STATES, Pictures, Scene

_HERE = Path(__file__).resolve().parent
_SIGN_IN = "sign-in"
_ALONE = {"width": 1280, "height": 1040}
_HEIGHT, _GAP = 560, 16
_QUALITY, _QUALITY_ALONE = 50, 70
_SHOWN_FIRST = "verdict"


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("states", nargs="*", metavar="STATE", help=f"of {', '.join((*STATES, _SIGN_IN))}")
    parser.add_argument("--folder", type=Path, default=_HERE / "pictures", help="where to (default: docs/pictures)")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(_take(args.states or [*STATES, _SIGN_IN], args.folder))


async def _take(names: list[str], folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        pictures = {name: Path(scratch) / f"{name}.jpg" for name in demo()}
        for name, content in demo().items():
            pictures[name].write_bytes(content)
        callers = Path(scratch) / "callers"
        callers.write_text(line("a token"))
        async with (
            stage(Path(scratch)) as shown,
            stage(Path(scratch), callers=str(callers)) as closed,
            chromium() as browser,
        ):
            for name in names:
                look = partial(_look, browser, closed if name == _SIGN_IN else shown, pictures, name)
                (await _sheet(look)).save(folder / f"{name}.webp", quality=_QUALITY, method=6)
            if _SHOWN_FIRST in names:
                alone = await _look(browser, shown, pictures, _SHOWN_FIRST, viewport=_ALONE)
                alone.save(folder.parent / "page.webp", quality=_QUALITY_ALONE, method=6)


async def _sheet(look: Callable[..., Awaitable[Image.Image]]) -> Image.Image:
    """Return a desktop's and a phone's window in both schemes, side by side."""
    kinds = [(size, scheme) for size in (DESKTOP, PHONE) for scheme in ("light", "dark")]
    windows = [await look(viewport=size, color_scheme=scheme) for size, scheme in kinds]
    scaled = [one.resize((round(one.width * _HEIGHT / one.height), _HEIGHT)) for one in windows]
    sheet = Image.new("RGB", (sum(one.width + _GAP for one in scaled) - _GAP, _HEIGHT), "grey")
    left = 0
    for one in scaled:
        sheet.paste(one, (left, 0))
        left += one.width + _GAP
    return sheet


async def _look(browser: Browser, shown: Stage, pictures: Pictures, name: str, **options: object) -> Image.Image:
    """Return the window of a visitor in the state."""
    shown.reset()
    async with visitor(browser, shown.url, tolerate=COMPLAINTS.get(name, ""), **options) as page:
        if name == _SIGN_IN:
            await page.goto("/")
        else:
            await STATES[name](Scene(page, shown, pictures))
        return Image.open(io.BytesIO(await page.screenshot())).convert("RGB")


if __name__ == "__main__":
    main()
