"""Labels that come with a model."""

from pathlib import Path

import pytest

from services.keras.assets import read_assets
from services.runtime.errors import Misconfigured


def _write(folder: Path, text: str) -> Path:
    assets = folder / "3" / "assets"
    assets.mkdir(parents=True)
    (assets / "marquee.json").write_text(text)
    return folder


def test_labels_and_threshold(tmp_path: Path) -> None:
    """Labels keep their order; what else the trainer wrote does not matter."""
    folder = _write(tmp_path, '{"labels": ["b", "a"], "threshold": 0.7, "preprocessing": "none", "seed": 1}')
    assets = read_assets(folder, "3")
    assert assets.labels == ("b", "a")
    assert assets.threshold == 0.7


def test_missing_file(tmp_path: Path) -> None:
    """A version without labels says which file is missing and which setting leads there."""
    with pytest.raises(Misconfigured, match=r"Version 4 .*4/assets/marquee\.json.*MARQUEE_KERAS_ASSETS"):
        read_assets(tmp_path, "4")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "file"),
        ("{}", "labels"),
        ('{"labels": ["one"]}', "labels"),
        ('{"labels": ["a", "b"], "threshold": 2}', "threshold"),
        ('{"labels": ["a", "b"], "preprocessing": "caffe"}', "preprocessing"),
    ],
)
def test_wrong_file(tmp_path: Path, text: str, where: str) -> None:
    """A file that cannot be used is refused with the field's name."""
    with pytest.raises(Misconfigured, match=rf"marquee\.json: {where}"):
        read_assets(_write(tmp_path, text), "3")
