"""Measure the page in Chromium: its first view, and how long a dropped picture takes to its first card.

usage: PYTHONPATH=. python bench/page.py [--tries 10]

Recognizers of known latency stand behind a real gateway; everything runs on this machine. Prints Markdown rows.
"""

import argparse
import asyncio
import logging
import statistics
import tempfile
from pathlib import Path
from typing import Any

import structlog
from playwright.async_api import Browser

from tests.support.browser import chromium, drop, layout_shift, visitor
from tests.support.pictures import demo
from tests.support.servers import LEFT, Scripted, face, result
from tests.support.web import recognizing, web

LATENCIES = (0, 0.05, 0.2)
"""Seconds that the first recognizer takes; the second takes a second more."""
_FIRST_VIEW = """() => {
  const [page] = performance.getEntriesByType("navigation");
  const files = performance.getEntriesByType("resource");
  return {
    requests: 1 + files.length,
    bytes: [page, ...files].reduce((sum, one) => sum + one.transferSize, 0),
    interactive: page.domContentLoadedEventEnd,
  };
}"""
_STOPWATCH = """() => {
  addEventListener("drop", () => { window.dropped = performance.now(); }, {capture: true});
  new MutationObserver(() => {
    if (window.filled === undefined && document.querySelector("[data-recognizer]:not([data-state=pending])"))
      window.filled = performance.now();
  }).observe(document.body, {subtree: true, childList: true, attributes: true});
}"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=10, help="times that each is measured (default: %(default)s)")
    args = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_measure(Path(folder), args.tries))


async def _measure(folder: Path, tries: int) -> None:
    picture = folder / "both.jpg"
    picture.write_bytes(demo()["both"])
    first = Scripted("first", result=result("first", face(LEFT, "Raj")))
    second = Scripted("second", result=result("second", face(LEFT, "Raj")), seconds=1)
    async with recognizing(first, second) as gateway, web(gateway, folder / "log") as url, chromium() as browser:
        views = [await _first_view(browser, url) for _ in range(tries)]
        print("| first view | median | worst |\n|---|---|---|")
        _row("requests", [view["requests"] for view in views], "")
        _row("bytes on the wire", [view["bytes"] / 1024 for view in views], " KiB")
        _row("interactive after", [view["interactive"] for view in views], " ms")
        print("\n| from drop to the first card, recognizer takes | median over it | worst over it | layout shift |")
        print("|---|---|---|---|")
        for seconds in LATENCIES:
            first.seconds, second.seconds = seconds, seconds + 1
            runs = [await _drop_to_card(browser, url, picture) for _ in range(tries)]
            over = [took - 1000 * seconds for took, _ in runs]
            shift = max(moved for _, moved in runs)
            print(f"| {1000 * seconds:.0f} ms | {statistics.median(over):.0f} ms | {max(over):.0f} ms | {shift:.4f} |")


def _row(name: str, values: list[float], unit: str) -> None:
    print(f"| {name} | {statistics.median(values):.0f}{unit} | {max(values):.0f}{unit} |")


async def _first_view(browser: Browser, url: str) -> dict[str, Any]:
    """Load the page as somebody does who has never been there."""
    async with visitor(browser, url) as page:
        await page.goto("/", wait_until="networkidle")
        view: dict[str, Any] = await page.evaluate(_FIRST_VIEW)
        return view


async def _drop_to_card(browser: Browser, url: str, picture: Path) -> tuple[float, float]:
    """Return milliseconds from the drop until a card is filled, and the layout shift until all are.

    The page is at rest before: nobody drops a picture while it loads.
    """
    async with visitor(browser, url) as page:
        await page.goto("/", wait_until="networkidle")
        await page.evaluate(_STOPWATCH)
        await drop(page, picture)
        await page.locator("[data-recognizer=second]:not([data-state=pending])").wait_for()
        return await page.evaluate("window.filled - window.dropped"), await layout_shift(page)


if __name__ == "__main__":
    main()
