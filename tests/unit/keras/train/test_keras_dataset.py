"""Tests of labeled pictures in folders."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services.keras.train.dataset import DataProblem, hold_out, read_dataset


def _write(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def _write_labels(folder: Path, count: int = 5) -> None:
    for number, label in enumerate(("dogs", "cats")):
        for seed in range(count):
            _write(folder / label / f"{seed}.png", 100 * number + seed)


def test_labels_in_order(tmp_path: Path) -> None:
    """Labels are the folders' names in order, and each picture has its folder's class."""
    _write_labels(tmp_path)
    (tmp_path / "cats" / "notes.txt").write_text("no picture")
    (tmp_path / "empty").mkdir()
    dataset = read_dataset(tmp_path)
    assert dataset.labels == ("cats", "dogs")
    assert dataset.classes.tolist() == [0] * 5 + [1] * 5
    assert dataset.pixels.shape == (10, 224, 224, 3)
    assert dataset.pixels.dtype == np.uint8


def test_hash_covers_content_and_labels_not_names(tmp_path: Path) -> None:
    """The data's hash changes with a picture or its label, but not with a file's name."""
    _write_labels(tmp_path)
    before = read_dataset(tmp_path).sha256
    (tmp_path / "cats" / "0.png").rename(tmp_path / "cats" / "renamed.png")
    assert read_dataset(tmp_path).sha256 == before
    (tmp_path / "cats" / "renamed.png").rename(tmp_path / "dogs" / "renamed.png")
    assert read_dataset(tmp_path).sha256 != before


def test_share_of_each_label_is_held_out(tmp_path: Path) -> None:
    """The same share of each label is held out, and the same seed selects the same pictures."""
    _write_labels(tmp_path, count=10)
    dataset = read_dataset(tmp_path)
    held = hold_out(dataset, 0.2, seed=1)
    assert [int(held[dataset.classes == label].sum()) for label in (0, 1)] == [2, 2]
    assert np.array_equal(held, hold_out(dataset, 0.2, seed=1))
    assert not np.array_equal(held, hold_out(dataset, 0.2, seed=2))


def test_groups_are_not_split(tmp_path: Path) -> None:
    """Pictures of one group folder, and identical files, are either all trained on or all held out."""
    for group in range(4):
        for shot in range(3):
            _write(tmp_path / "cats" / f"scene{group}" / f"{shot}.png", 10 * group + shot)
            _write(tmp_path / "dogs" / f"{group}-{shot}.png", 100 + group)
    dataset = read_dataset(tmp_path)
    held = hold_out(dataset, 0.25, seed=3)
    assert held.reshape(2, 4, 3).all(axis=2).sum(axis=1).tolist() == [1, 1]
    assert held.sum() == 6


def test_unreadable_pictures_are_listed(tmp_path: Path) -> None:
    """Every picture that cannot be read is named."""
    _write_labels(tmp_path)
    (tmp_path / "cats" / "torn.png").write_bytes((tmp_path / "cats" / "0.png").read_bytes()[:60])
    (tmp_path / "dogs" / "text.jpg").write_text("no picture")
    with pytest.raises(DataProblem, match=r"(?s)torn\.png.*text\.jpg"):
        read_dataset(tmp_path)


def test_too_little_data(tmp_path: Path) -> None:
    """No folder, no label, a single label and a single picture are each refused with a reason."""
    with pytest.raises(DataProblem, match="missing is not a folder"):
        read_dataset(tmp_path / "missing")
    with pytest.raises(DataProblem, match="there is none"):
        read_dataset(tmp_path)
    _write(tmp_path / "cats" / "1.png", 1)
    with pytest.raises(DataProblem, match="only cats"):
        read_dataset(tmp_path)
    _write(tmp_path / "dogs" / "1.png", 2)
    with pytest.raises(DataProblem, match="cats: two different"):
        hold_out(read_dataset(tmp_path), 0.2, seed=1)
