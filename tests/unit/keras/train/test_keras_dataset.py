"""Tests of labeled pictures in folders."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from local.pictures import demo_pictures
from services.keras.regions import Cutter
from services.keras.train.dataset import DataProblem, hold_out, read_dataset
from services.runtime.images.image import Image


def _write(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Pillow.fromarray(pixels).save(path)


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


def test_what_is_no_picture_is_left_out(tmp_path: Path) -> None:
    """Broken pictures, other formats and other files are left out, each with the reason; the rest is read."""
    _write_labels(tmp_path)
    (tmp_path / "cats" / "torn.png").write_bytes((tmp_path / "cats" / "0.png").read_bytes()[:60])
    (tmp_path / "dogs" / "text.jpg").write_text("no picture")
    Pillow.new("RGB", (8, 8)).save(tmp_path / "dogs" / "a.bmp")
    (tmp_path / "dogs" / ".ipynb_checkpoints").mkdir()
    _write(tmp_path / "dogs" / ".ipynb_checkpoints" / "0.png", 100)
    dataset = read_dataset(tmp_path)
    reasons = {one.name: one.reason for one in dataset.left_out}
    assert sorted(reasons) == ["cats/torn.png", "dogs/.ipynb_checkpoints", "dogs/a.bmp", "dogs/text.jpg"]
    assert "damaged or cut short" in reasons["cats/torn.png"]
    assert "BMP picture; convert it" in reasons["dogs/a.bmp"]
    assert len(dataset.pixels) == 10


def test_faces_are_cut_out(tmp_path: Path) -> None:
    """A network for faces is trained on the one face of each picture; pictures of nobody or of two are left out."""
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for name, picture in demo_pictures().items():
            picture.save(tmp_path / label / name, quality=90 if label == "a" else 60)
    dataset = read_dataset(tmp_path, part=lambda image: Cutter().only_face(image, "yunet"))
    assert dataset.classes.tolist() == [0, 0, 1, 1]
    reasons = {one.name: one.reason for one in dataset.left_out}
    assert reasons.keys() == {f"{label}/{name}.jpg" for label in "ab" for name in ("both", "coffee")}
    assert "There are 2 faces" in reasons["a/both.jpg"]
    assert "There is no face" in reasons["a/coffee.jpg"]
    whole = read_dataset(tmp_path, part=Image.as_stored).pixels[0].astype(int)
    assert np.abs(whole - dataset.pixels[0]).mean() > 20


def test_a_picture_under_two_labels_is_left_out(tmp_path: Path) -> None:
    """The same pixels under two labels, even in different files, are in neither; each entry names the other."""
    _write_labels(tmp_path)
    with Pillow.open(tmp_path / "cats" / "0.png") as picture:
        picture.save(tmp_path / "dogs" / "again.png", compress_level=0)
    dataset = read_dataset(tmp_path)
    assert {one.name: one.reason for one in dataset.left_out} == {
        "cats/0.png": "the same picture as dogs/again.png",
        "dogs/again.png": "the same picture as cats/0.png",
    }
    assert [int((dataset.classes == label).sum()) for label in (0, 1)] == [4, 5]


def test_copies_are_on_one_side_of_the_hold_out(tmp_path: Path) -> None:
    """A copy joins the groups that it lies in, whatever the file, and a warning names it."""
    for group in range(6):
        _write(tmp_path / "cats" / f"scene{group}" / "1.png", group)
        _write(tmp_path / "dogs" / f"{group}.png", 100 + group)
    with Pillow.open(tmp_path / "cats" / "scene0" / "1.png") as picture:
        picture.save(tmp_path / "cats" / "scene1" / "again.webp", lossless=True)
    dataset = read_dataset(tmp_path)
    held = hold_out(dataset, 0.5, seed=1)
    assert held[0] == held[1] == held[2]
    assert any("cats/scene1/again.webp of cats/scene0/1.png" in warning for warning in dataset.warnings)


def test_few_pictures_are_worth_nothing(tmp_path: Path) -> None:
    """A warning for each label of which there are too few pictures says what its model is worth."""
    _write_labels(tmp_path, count=3)
    for seed in range(20):
        _write(tmp_path / "fish" / f"{seed}.png", 1000 + seed)
    assert [warning.split(":")[0] for warning in read_dataset(tmp_path).warnings] == [
        "cats has 3 different pictures or groups",
        "dogs has 3 different pictures or groups",
    ]


def test_a_label_with_one_picture_is_left_out(tmp_path: Path) -> None:
    """It is listed, unless it was asked for; then nothing is trained."""
    _write_labels(tmp_path)
    _write(tmp_path / "fish" / "only.png", 999)
    (tmp_path / "fish" / "torn.png").write_bytes((tmp_path / "fish" / "only.png").read_bytes()[:60])
    dataset = read_dataset(tmp_path)
    assert dataset.labels == ("cats", "dogs")
    assert [one.name for one in dataset.left_out] == ["fish/torn.png", "fish/only.png"]
    with pytest.raises(DataProblem, match=r"(?s)fish: two different.*fish/torn\.png"):
        read_dataset(tmp_path, labels=["cats", "fish"])


def test_labels_that_look_alike_are_refused(tmp_path: Path) -> None:
    """Folders that differ in case or in Unicode's form only are refused; one composed otherwise is the same label."""
    _write_labels(tmp_path)
    for seed in (1, 2):
        _write(tmp_path / "Cafe\u0301" / f"{seed}.png", 900 + seed)
    assert read_dataset(tmp_path, labels=["Caf\u00e9", "dogs"]).labels == ("Caf\u00e9", "dogs")
    _write(tmp_path / "caf\u00e9" / "1.png", 1)
    with pytest.raises(DataProblem, match="are one label"):
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
        read_dataset(tmp_path, track=pytest.fail)
