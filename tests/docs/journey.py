"""Type the README and the recipes as somebody does who has nothing yet: `python -m tests.docs.journey [PAGE ...]`.

In an empty folder and without this environment's packages it clones this repository as it is committed, makes the demo,
and types every command of the pages. Ends with exit code 1 at the first that does not print what its page shows. Needs
the network, and a quarter of an hour.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.docs.reader import Reader, newcomer
from tests.support.pages import difference
from tests.support.processes import ROOT

_RECIPES = "docs/recipes"
_START = f"{_RECIPES}/README.md"
_NAMES = ("street-labels", "enroll", "four-people", "lambda", "least-privilege", "keras-from-s3")
_PAGES = ("README.md", *(f"{_RECIPES}/{name}.md" for name in _NAMES))


def main(arguments: Sequence[str]) -> None:
    """Follow the pages after the recipes' start, which begins with the clone."""
    parser = argparse.ArgumentParser(prog="python -m tests.docs.journey", description="Follow pages from nothing.")
    parser.add_argument("pages", nargs="*", default=_PAGES, help="such as README.md (default: it and every recipe)")
    pages = dict.fromkeys([_START, *parser.parse_args(arguments).pages])
    with tempfile.TemporaryDirectory() as folder, newcomer(Path(folder)) as reader:
        for page in pages:
            _follow(reader, ROOT / page)


def _follow(reader: Reader, page: Path) -> None:
    name, begin = page.relative_to(ROOT), time.monotonic()
    for step, printed in reader.follow(page):
        if step.output is not None and (differs := difference(step.output, printed)):
            sys.exit(f"{name}: $ {step.command}\n{differs}\n\n{printed}")
    sys.stdout.write(f"{name}: prints what it shows, in {time.monotonic() - begin:.0f} s\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
