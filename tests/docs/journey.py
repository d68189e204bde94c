"""Type the README's demo and the recipes as somebody does who has nothing yet: `python -m tests.docs.journey [PAGE ...]`.

Clones this repository into an empty folder, with an empty home and none of this environment's packages, and types every
command of the pages, those that download included. Ends with the first command that does not print what its page shows.
Without PAGES, follows all recipes that need no TensorFlow. Needs the network, and takes minutes.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.docs.reader import Reader
from tests.support.pages import difference
from tests.support.processes import ROOT

_RECIPES = Path("docs/recipes")
_PAGES = ("README", "street-labels", "enroll", "four-people", "least-privilege")


def main(arguments: Sequence[str]) -> None:
    """Follow the pages; exit 1 and say what differs at the first command that fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.docs.journey", description=__doc__)
    parser.add_argument("pages", nargs="*", default=_PAGES, help="pages of docs/recipes (default: %(default)s)")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as life:
        home = Path(folder, "home")
        home.mkdir()
        traveller = Traveller(Path(folder), home, life)
        for page in args.pages:
            _follow(traveller, ROOT / _RECIPES / f"{page}.md")


def _follow(traveller: "Traveller", page: Path) -> None:
    begin = time.monotonic()
    for step, printed in traveller.follow(page):
        differs = difference(step.output, printed) if step.output is not None else ""
        if differs:
            sys.exit(f"{page.name}: $ {step.command}\n{differs}\n\n{printed}")
    sys.stdout.write(f"{page.name}: as it says, in {time.monotonic() - begin:.0f} s\n")
    sys.stdout.flush()


class Traveller(Reader):
    """A Reader with nothing but what the machine has; the first page begins with the clone."""

    downloads = True
