"""Tests of the labels that come with a model."""

from pathlib import Path

import numpy as np
import pytest

from services.keras.assets import Assets, read_assets
from services.runtime.errors import Misconfigured


def _write(folder: Path, text: str) -> Path:
    assets = folder / "3" / "assets"
    assets.mkdir(parents=True)
    (assets / "marquee.json").write_text(text)
    return folder


def test_labels_and_threshold(tmp_path: Path) -> None:
    """Labels keep their order; other fields that the trainer wrote are ignored."""
    folder = _write(tmp_path, '{"labels": ["b", "a"], "threshold": 0.7, "preprocessing": "none", "seed": 1}')
    assets = read_assets(folder, "3")
    assert assets.labels == ("b", "a")
    assert assets.threshold == 0.7


def test_missing_file(tmp_path: Path) -> None:
    """The error for a version without labels names the missing file and the setting for its folder."""
    with pytest.raises(Misconfigured, match=r"Version 4 .*4/assets/marquee\.json.*MARQUEE_KERAS_ASSETS"):
        read_assets(tmp_path, "4")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "file"),
        ("{}", "labels"),
        ('{"labels": []}', "labels"),
        ('{"labels": ["a", "a"]}', "labels"),
        ('{"labels": ["a", ""]}', r"labels\.1"),
        ('{"labels": ["a", "b\\u001b[1m"]}', r"labels\.1.*control characters"),
        ('{"labels": ["a", "b\\u0000"]}', r"labels\.1.*control characters"),
        (f'{{"labels": ["a", "{"b" * 201}"]}}', r"labels\.1.*200 characters"),
        ('{"labels": ["a", "--"], "kind": "identity"}', "file: .*'--' has no letter or digit"),
        ('{"labels": ["a", "b"], "threshold": 2}', "threshold"),
        ('{"labels": ["a", "b"], "preprocessing": "pytorch"}', "preprocessing"),
        ('{"labels": ["a", "b"], "regions": "hands"}', "regions"),
        ('{"labels": ["a", "b"], "detector": "hog"}', "detector"),
        ('{"labels": ["a", "b"], "kind": "name"}', "kind"),
        ('{"labels": ["a", "b"], "activation": "relu"}', "activation"),
        ('{"labels": ["a", "b"], "interpolation": "linear"}', "interpolation"),
        ('{"labels": ["a", "b"], "fit": "squeeze"}', "fit"),
    ],
)
def test_wrong_file(tmp_path: Path, text: str, where: str) -> None:
    """The error for an invalid file names the field."""
    with pytest.raises(Misconfigured, match=rf"marquee\.json: {where}"):
        read_assets(_write(tmp_path, text), "3")


def test_one_score_for_two_labels() -> None:
    """A single sigmoid is the last label's score, as Keras numbers classes; the first label gets 1 minus it."""
    assets = Assets(labels=("cats", "dogs"))
    assert assets.fits(1)
    assert assets.by_label(np.array([0.25], np.float32)).tolist() == [0.75, 0.25]


def test_one_score_for_one_label() -> None:
    """A single label gets the single score."""
    assets = Assets(labels=("Celebrity",))
    assert assets.fits(1)
    assert assets.by_label(np.array([0.25], np.float32)).tolist() == [0.25]


def test_a_score_for_each_label() -> None:
    """As many scores as labels are assigned in order; any other number of scores does not fit."""
    assets = Assets(labels=("a", "b", "c"))
    scores = np.array([0.5, 0.25, 0.25], np.float32)
    assert assets.by_label(scores) is scores
    assert [assets.fits(count) for count in (1, 2, 3, 4)] == [False, False, True, False]


@pytest.mark.parametrize(
    ("scores", "threshold", "activation", "counting"),
    [
        ([0.6, 0.4], 0.5, "softmax", ["a"]),
        ([0.6, 0.4], 0.3, "softmax", ["a"]),
        ([0.6, 0.4], 0.7, "softmax", []),
        ([0.4, 0.6], 0.0, "softmax", ["b"]),
        ([0.6, 0.4], 0.3, "sigmoid", ["a", "b"]),
        ([0.9, 0.8], 0.85, "sigmoid", ["a"]),
        ([0.1, 0.2], 0.5, "sigmoid", []),
        ([0.4], 0.3, "sigmoid", ["b"]),
        ([0.4], 0.3, "softmax", ["b"]),
        ([0.2], 0.3, "sigmoid", ["a"]),
        ([0.6], 0.7, "sigmoid", []),
        ([0.2], 0.7, "sigmoid", ["a"]),
    ],
)
def test_labels_that_count(scores: list[float], threshold: float, activation: str, counting: list[str]) -> None:
    """The best label of several counts, or each of independent ones; a single score decides from its threshold on."""
    assets = Assets(labels=("a", "b"), threshold=threshold, activation=activation)
    assert [label for label, _ in assets.counting(np.array(scores, np.float32))] == counting


@pytest.mark.parametrize("preprocessing", ["caffe", "torch"])
def test_preprocessing_of_colours(preprocessing: str) -> None:
    """Preprocessing that treats each colour differently cannot be done to grey pictures."""
    assets = Assets(labels=("a", "b"), preprocessing=preprocessing)
    assets.check_channels(3)
    with pytest.raises(Misconfigured, match=f"{preprocessing}.*takes one channel"):
        assets.check_channels(1)
