"""Tests that type every command of docs/recipes, and compare what it prints with the page."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.reader import Reader, reader
from tests.support import awscli, pages
from tests.support.processes import ROOT

pytestmark = pytest.mark.slow

_RECIPES = ROOT / "docs" / "recipes"
_PAGES = [
    _RECIPES / f"{name}.md"
    for name in (
        "README",
        "street-labels",
        "least-privilege",
        "lambda",
        "enroll",
        "library",
        "people",
        "keras-from-s3",
        "four-people",
    )
]
"""In an order in which the whole system starts as seldom as possible."""


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Somebody with a checkout, as `make demo` leaves it."""
    with reader(tmp_path_factory.mktemp("newcomer")) as newcomer:
        yield newcomer


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.stem)
def test_commands_print_what_the_page_shows(newcomer: Reader, page: Path) -> None:
    """Each command, typed in turn, prints what stands below it; scores may differ by .05."""
    for step, printed in newcomer.follow(page):
        if step.output is not None:
            differs = pages.difference(step.output, printed)
            assert not differs, f"$ {step.command}\n{differs}\n\n{printed}"


def test_every_page_is_followed() -> None:
    """No page is left out."""
    assert set(_RECIPES.glob("*.md")) == set(_PAGES)


def _aws() -> Iterator[str]:
    for page in _PAGES:
        for block in pages.blocks(page, "sh", "console"):
            yield from (call for step in block.steps for call in pages.calls(step.command, "aws"))


@pytest.mark.parametrize("command", sorted(set(_aws())), ids=lambda command: command[:60])
def test_aws_has_the_command(command: str) -> None:
    """The operation and its options are in AWS's own description of its services, which requires no others."""
    awscli.check(shlex.split(command))


def test_calls_of_aws_are_marked() -> None:
    """A reader without an account sees which steps are for one."""
    for page in _PAGES:
        for block in pages.blocks(page, "sh", "console"):
            commands = "\n".join(step.command for step in block.steps)
            assert "aws" in block.marks or not pages.calls(commands, "aws"), block
