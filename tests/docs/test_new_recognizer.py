"""Tests of the page on new recognizers: who does what it says, in a copy of the project, has one more."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.support import pages
from tests.support.pages import Block
from tests.support.processes import ROOT, run

pytestmark = pytest.mark.slow

_PAGE = ROOT / "docs" / "new-recognizer.md"
_NPM = "services/web/node_modules"
_NO_OUTPUTS = '"""Nothing: what pages print is looked at elsewhere, and takes a while."""\n'
_INSTALLED = (".marquee-dev", ".marquee-local", ".marquee-examples")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project to which everything on the page was done, except what downloads."""
    folder = tmp_path_factory.mktemp("new") / "project"
    _copy(folder)
    with pages.terminal(folder, folder.with_name("terminal"), **_environment(folder)) as terminal:
        for block in pages.blocks(_PAGE):
            if block.marks and block.language in ("python", "diff"):
                _edit(folder, block)
            elif "install" not in block.marks:
                for step in block.steps:
                    terminal.follow(step)
    return folder


def _copy(folder: Path) -> None:
    """Copy what git has or would add, and link what npm brought."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in filter(None, run(listed, cwd=ROOT).stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / _NPM).symlink_to(ROOT / _NPM)
    (folder / "docs/outputs.py").write_text(_NO_OUTPUTS)


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment in which `make` takes the packages that are installed, and mypy what it knows already."""
    programs = folder.with_name("bin")
    old = [f"{sys.prefix}/{name}" for name in _INSTALLED] + [f"{_NPM}/.package-lock.json", ".venv-train/.marquee-train"]
    command = ["exec", shutil.which("make"), f"VENV={sys.prefix}", *(f"--old-file={path}" for path in old), '"$@"']
    pages.add_program(programs / "make", " ".join(map(str, command)))
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "MYPY_CACHE_DIR": str(ROOT / ".mypy_cache"),
    }


def _edit(folder: Path, block: Block) -> None:
    """Write the file that the block holds, or change the place that it shows, which the file has once."""
    path = folder / block.marks[0]
    if block.language == "python":
        assert not path.exists()
        path.parent.mkdir(exist_ok=True)
        path.write_text(block.text)
        return
    before, after = (
        "".join(line[1:] for line in block.text.splitlines(keepends=True) if line[0] in kinds) for kinds in (" -", " +")
    )
    text = path.read_text("utf-8")
    assert text.count(before) == 1, f"{path.name} does not have once:\n{before}"
    path.write_text(text.replace(before, after), "utf-8")


def test_its_settings_are_documented(project: Path) -> None:
    """The table of settings has its section, as any recognizer's."""
    settings = (project / "docs/settings.md").read_text("utf-8")
    assert re.search(
        r"^## The focus recognizer\n(.*\n)+?\| `MARQUEE_FOCUS_SHARP_FROM` \| `100` \|", settings, re.MULTILINE
    )


def test_the_chart_has_it(project: Path) -> None:
    """The chart's schema knows its settings, and its output the Deployment with its image."""
    schema = json.loads((project / "helm/marquee/values.schema.json").read_text("utf-8"))
    env = schema["properties"]["recognizers"]["properties"]["focus"]["properties"]["env"]
    assert "MARQUEE_FOCUS_SHARP_FROM" in json.dumps(env)
    assert "image: marquee-focus:" in (project / "k8s/focus.yaml").read_text("utf-8")


def test_its_image_is_built(project: Path) -> None:
    """The list of images that `make images` builds has it."""
    environment = os.environ | {"PATH": f"{project.with_name('bin')}:{os.environ['PATH']}"}
    plan = run(["make", "--dry-run", "images"], cwd=project, env=environment).stdout
    (build,) = re.findall(r"^deploy/images/build (.*)$", plan, re.MULTILINE)
    assert "focus" in build.split()
