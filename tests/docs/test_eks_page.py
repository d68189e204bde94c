"""Tests that type docs/eks.md from top to bottom, against stand-ins."""

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.docs.account import ZONE, Account, account
from tests.support.pages import blocks, terminal
from tests.support.processes import ROOT

pytestmark = pytest.mark.slow

_PAGE = ROOT / "docs" / "eks.md"
_END = "Delete everything"
_TRAP = "set -u; trap 'echo \"failed: $BASH_COMMAND\"' ERR"


Made = dict[str, list[str]]


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Account, Made, dict[str, str]]]:
    """Type the page; yield the account, what it held before the page cleared it, and what each block printed."""
    folder = tmp_path_factory.mktemp("eks")
    checkout, programs = folder / "marquee", folder / "programs"
    shutil.copytree(ROOT / "deploy/eks", checkout / "deploy/eks")
    for name in ("helm", "models"):
        (checkout / name).symlink_to(ROOT / name)
    printed: dict[str, str] = {}
    made: Made = {}
    with pytest.MonkeyPatch.context() as patch, account(checkout, programs) as amazon:
        patch.chdir(checkout)
        environment = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "TMPDIR": str(folder)}
        with terminal(checkout, folder / "files", **environment) as shell:
            for block in blocks(_PAGE, "sh"):
                made = made or (amazon.left() if block.heading == _END else {})
                printed[str(block)] = shell.type(f"{_TRAP}\n{block.text}")[1]
        yield amazon, made, printed


def test_every_command_succeeds(typed: tuple[Account, Made, dict[str, str]]) -> None:
    """Each command finds what it names: variables, files, policies, buckets, the zone, the certificate."""
    _, _, printed = typed
    assert {block: text for block, text in printed.items() if "failed: " in text} == {}


def test_the_account_has_what_the_sections_make(typed: tuple[Account, Made, dict[str, str]]) -> None:
    """Before the last section, the cluster's pods have buckets, a table, roles, a certificate and records."""
    _, made, _ = typed
    assert sorted(made["buckets"]) == [f"marquee-{name}-123456789012" for name in ("library", "models", "pictures")]
    assert made["databases"] == ["marquee"]
    assert made["tables"] == ["marquee"]
    assert made["certificates"] == ["marquee.example.com"]
    assert {f"marquee.{ZONE}", f"page.marquee.{ZONE}"} < set(made["records"])
    assert sorted(made["roles"]) == ["marquee-keras", "marquee-rekognition", "marquee-svm"]


def test_the_charts_images_are_pushed(typed: tuple[Account, Made, dict[str, str]]) -> None:
    """Every image that the chart installs from the account's registry was pushed there."""
    amazon, _, _ = typed
    own = {
        image for image in amazon.images if image.startswith("123456789012.dkr.ecr.us-east-1.amazonaws.com/marquee-")
    }
    assert own
    assert own == amazon.pushed


def test_nothing_is_left(typed: tuple[Account, Made, dict[str, str]]) -> None:
    """The last section deletes all that the others made."""
    amazon, made, _ = typed
    assert all(made.values())
    assert {kind: names for kind, names in amazon.left().items() if names} == {}
