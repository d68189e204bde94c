"""Tests that type docs/air-gap.md: what it pushes is what the chart then asks for."""

import os
import re
import shlex
from pathlib import Path

import pytest

from deploy import release
from helm import manifests
from helm.generate import CHART, ROOT
from tests.deploy import charts
from tests.support.pages import add_program, blocks, terminal

pytestmark = pytest.mark.slow

_PAGE = ROOT / "docs" / "air-gap.md"
_MIRROR = "registry.example.com/marquee"


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Type the page up to the installation, beside a release; return the calls of docker, kubectl and helm."""
    log, programs = tmp_path / "log", tmp_path / "programs"
    (tmp_path / "dist").mkdir()
    (tmp_path / "helm").symlink_to(ROOT / "helm")
    for name in ("docker", "kubectl", "helm"):
        add_program(programs / name, f'printf "%q " {name} "$@" >>{log}; echo >>{log}')
    monkeypatch.setenv("REGISTRY", "registry.test/team/")
    (tmp_path / "dist/images.txt").write_text("".join(f"{image}\n" for image in release.images()))
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    with terminal(tmp_path, tmp_path / "files", PATH=path) as shell:
        for block in blocks(_PAGE, "sh")[:2]:
            code, printed = shell.type(block.text)
            assert (code, printed) == (0, "")
    return [shlex.split(line) for line in log.read_text().splitlines()]


@pytest.mark.parametrize("serving", [{"gpu": True}, {"gpu": False}], ids=["gpu", "cpu"])
def test_the_chart_asks_for_what_was_pushed(calls: list[list[str]], serving: dict[str, bool]) -> None:
    """With the registry that the page sets, every image of the chart is one that the page pushed there."""
    pushed = {call[-1] for call in calls if call[:2] == ["docker", "push"]}
    (install,) = (call for call in calls if call[0] == "helm")
    assert f"images.registry={_MIRROR}" in install
    values = {"images": {"registry": _MIRROR}, "recognizers": {"keras": {"serving": serving}}}
    wanted = manifests.images(manifests.objects(manifests.render(CHART, values)))
    assert len(wanted) == len(charts.INSTALLED) + 1
    assert wanted <= pushed


def test_what_is_pushed_was_pulled(calls: list[list[str]]) -> None:
    """Each image is pulled by its name in the list, its digest included, and gets the name by which it is pushed."""
    pulled = [call[-1] for call in calls if call[:2] == ["docker", "pull"]]
    assert pulled == release.images()
    assert [call[2:] for call in calls if call[:2] == ["docker", "tag"]] == [
        [image, f"{_MIRROR}/{re.sub('^registry.test/team/|@.*', '', image)}"] for image in pulled
    ]


def test_builds_take_packages_from_another_index() -> None:
    """The build argument that the page names reaches every installation of packages."""
    stages = re.split(r"(?m)^FROM ", (ROOT / "Dockerfile").read_text("utf-8"))
    (base,) = (stage for stage in stages if re.match(r"\S+ AS build$", stage, re.MULTILINE))
    assert re.search(r"^ARG PIP_INDEX_URL$", base, re.MULTILINE)
