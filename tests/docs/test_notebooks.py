"""Tests that run the recipes' notebooks, as a reader does from their folder."""

import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from tests.support.processes import PATIENCE, ROOT, LocalSystem

NOTEBOOKS = sorted((ROOT / "docs").rglob("*.ipynb"))


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def outputs(notebook: NotebookNode, source: str) -> dict[str, str]:
    """Return what the cell with that source shows, by MIME type."""
    cell = next(cell for cell in notebook.cells if cell.source.endswith(source))
    return dict(next(output.data for output in cell.outputs if "data" in output))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_notebooks_hold_no_results(path: Path) -> None:
    """Outputs, counts and widgets, which may show anybody's pictures, are stripped."""
    notebook = read(path)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.source for cell in cells if cell.outputs or cell.execution_count] == []
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}


@pytest.mark.slow
def test_the_recipe_shows_who_is_in_the_demos_pictures(
    tmp_path: Path, system: LocalSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every cell runs; pictures, tables and drawings appear, with the right names."""
    folder = tmp_path / "docs" / "recipes"
    folder.mkdir(parents=True)
    shutil.copytree(system.state / "pictures", tmp_path / ".local" / "pictures")
    monkeypatch.setenv("MARQUEE_ADDRESS", system.address("gateway"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    notebook = read(ROOT / "docs" / "recipes" / "notebook.ipynb")
    NotebookClient(notebook, timeout=PATIENCE, resources={"metadata": {"path": str(folder)}}).execute()
    shown = outputs(notebook, "answer")["text/html"]
    assert "<img" in shown
    assert "Grace Hopper" in shown
    assert "Eileen Collins" in outputs(notebook, "DataFrame(answer.rows())")["text/html"]
    assert "image/png" in outputs(notebook, "int(right), int(bottom)))")
    assert "coffee.jpg" in outputs(notebook, '"support"]]')["text/plain"]
    assert "rekognition" in outputs(notebook, "client.recognizers()")["text/html"]
