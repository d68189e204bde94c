"""Take the pictures of the pages in docs/pictures, each state in light and dark and as wide as a phone.

usage: PYTHONPATH=. python docs/screenshots.py [--folder docs/pictures] [STATE …]

Scripted recognizers stand behind a real gateway and a real page, so that the pictures change with the pages alone.
Without states: those that docs/page.md shows. `--all`: every state there is, for looking at.
"""

import argparse
import asyncio
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser

from tests.support.browser import DESKTOP, PHONE, chromium, visitor
from tests.support.pictures import demo
from tests.support.stage import Stage, stage
from tests.support.states import COMPLAINTS, STATES, Scene

_HERE = Path(__file__).resolve().parent
_SHOWN = (
    *("first-view", "half", "verdict", "details", "unknown", "no-face", "one-fails", "all-fail", "much", "options"),
    *("refused", "offline", "enrolling", "enrolled", "enroll-page", "status", "missing"),
)
_KINDS = {
    "": (DESKTOP, "light"),
    "-dark": (DESKTOP, "dark"),
    "-phone": (PHONE, "light"),
    "-phone-dark": (PHONE, "dark"),
}
_QUALITY = 60


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("states", nargs="*", metavar="STATE", help=f"of {', '.join(STATES)}")
    parser.add_argument("--all", action="store_true", help="take every state")
    parser.add_argument("--folder", type=Path, default=_HERE / "pictures", help="where to (default: docs/pictures)")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(_take(tuple(STATES) if args.all else args.states or _SHOWN, args.folder))


async def _take(names: Sequence[str], folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        pictures = {name: Path(scratch) / f"{name}.jpg" for name in demo()}
        for name, content in demo().items():
            pictures[name].write_bytes(content)
        async with stage(Path(scratch)) as shown, chromium() as browser:
            for name in names:
                for ending in _KINDS:
                    picture = await _picture(browser, shown, pictures, name, ending)
                    picture.save(folder / f"{name}{ending}.webp", quality=_QUALITY, method=6)


async def _picture(browser: Browser, shown: Stage, pictures: dict[str, Path], name: str, ending: str) -> Image.Image:
    """Return what a visitor sees in the state: the window, and on a phone all of the page."""
    shown.reset()
    size, scheme = _KINDS[ending]
    async with visitor(
        browser, shown.url, tolerate=COMPLAINTS.get(name, ""), viewport=size, color_scheme=scheme
    ) as page:
        await STATES[name](Scene(page, shown, pictures))
        content = await page.screenshot(full_page="phone" not in ending)
    return Image.open(io.BytesIO(content)).convert("RGB")


if __name__ == "__main__":
    main()
