"""Type the recipes as somebody does who has nothing yet: `python -m tests.docs.journey [PAGE ...]`.

In an empty folder and without this environment's packages it clones this repository as it is committed, makes the demo,
and types every command of the pages. Ends with exit code 1 at the first that does not print what its page shows. Needs
the network, and ten minutes.
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

_PAGES = ("README", "street-labels", "enroll", "four-people", "lambda", "least-privilege")


def main(arguments: Sequence[str]) -> None:
    """Follow the pages, README first, which begins with the clone."""
    parser = argparse.ArgumentParser(prog="python -m tests.docs.journey", description="Follow recipes from nothing.")
    parser.add_argument("pages", nargs="*", default=_PAGES, help=f"pages of docs/recipes (default: {' '.join(_PAGES)})")
    pages = dict.fromkeys(["README", *parser.parse_args(arguments).pages])
    with tempfile.TemporaryDirectory() as folder, newcomer(Path(folder)) as reader:
        for page in pages:
            _follow(reader, ROOT / "docs" / "recipes" / f"{page}.md")


def _follow(reader: Reader, page: Path) -> None:
    begin = time.monotonic()
    for step, printed in reader.follow(page):
        if step.output is not None and (differs := difference(step.output, printed)):
            sys.exit(f"{page.name}: $ {step.command}\n{differs}\n\n{printed}")
    sys.stdout.write(f"{page.name}: prints what it shows, in {time.monotonic() - begin:.0f} s\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
