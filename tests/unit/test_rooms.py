"""The structure of the code: the sizes of folders and modules, and the directions of imports."""

import ast
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import ROOT, run

_GENERATED = "_pb2"
_MODULES, _LINES = 10, 400
_SMALL, _SMALL_WITH_ONE_IMPORTER = 60, 10
_SOURCES = [
    path.relative_to(ROOT)
    for top in ("marquee", "services", "local", "helm")
    for path in sorted((ROOT / top).rglob("*.py"))
    if _GENERATED not in path.name and "node_modules" not in path.parts
]
_MODULES_OF = {".".join(path.with_suffix("").parts): path for path in _SOURCES if not path.stem.startswith("__")}


def test_a_folder_has_at_most_ten_modules() -> None:
    """A folder has at most ten modules, not counting __init__ and __main__."""
    counts = Counter(path.parent for path in _MODULES_OF.values())
    assert {str(folder): count for folder, count in counts.items() if count > _MODULES} == {}


def test_a_module_has_at_most_400_lines() -> None:
    """A module has at most 400 lines: a longer one covers more than one thing."""
    lengths = {str(path): _length(path) for path in _SOURCES}
    assert {path: length for path, length in lengths.items() if length > _LINES} == {}


def test_packages_have_only_a_docstring() -> None:
    """No package but the client re-exports names, which would be imported along with each of its modules."""
    code = {
        str(path): [node for node in ast.parse((ROOT / path).read_text()).body if not _is_text(node)]
        for path in _SOURCES
        if path.name == "__init__.py" and path.parent != Path("marquee")
    }
    assert [path for path, nodes in code.items() if nodes] == []


def test_few_small_modules_have_a_single_importer() -> None:
    """A small module with a single importer usually belongs in that importer, so only a few exist."""
    importers = Counter(name for path in _SOURCES for name in set(_imports(path)))
    lone = [name for name, path in _MODULES_OF.items() if _length(path) < _SMALL and importers[name] == 1]
    assert len(lone) <= _SMALL_WITH_ONE_IMPORTER, lone


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("services/fourth/recognizer.py", "from services.svm.settings import SvmSettings\n"),
        ("services/runtime/shortcut.py", "from services.svm.settings import SvmSettings\n"),
        ("services/fourth/recognizer.py", "import marquee.client\n"),
        ("services/fourth/recognizer.py", "from local import pictures\n"),
        ("marquee/shortcut.py", "from services.runtime import errors\n"),
        ("services/gateway/shortcut.py", "from services.runtime.images import image\n"),
    ],
)
def test_a_wrong_import_is_refused(tmp_path: Path, place: str, text: str) -> None:
    """An import that breaks the rules is refused, even in a service that does not exist yet."""
    for top in ("marquee", "services", "local"):
        shutil.copytree(ROOT / top, tmp_path / top, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    module = tmp_path / place
    module.parent.mkdir(exist_ok=True)
    (module.parent / "__init__.py").touch()
    module.write_text(text)
    refused = _lint_imports(tmp_path)
    assert refused.returncode == 1
    assert module.stem in refused.stdout


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return run(command, cwd=folder, env=environment)


def _length(path: Path) -> int:
    return len((ROOT / path).read_text().splitlines())


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _imports(path: Path) -> Iterator[str]:
    """Yield the project's modules that a file imports, other than itself."""
    own = ".".join(path.with_suffix("").parts)
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in names if name in _MODULES_OF and name != own)
