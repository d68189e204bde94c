"""The trainer, from a folder to a model or to what is wrong."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from local.pictures import PEOPLE, photo, scene, variations
from services.svm import artifact
from services.svm.train import main


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures of each of two people."""
    folder = tmp_path_factory.mktemp("people")
    for seed, person in enumerate(PEOPLE):
        (folder / person.replace(" ", "_")).mkdir()
        for number, picture in enumerate(variations(photo(person), 3, seed)):
            picture.save(folder / person.replace(" ", "_") / f"{number}.jpg")
    return folder


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainer writes into the working directory unless told otherwise."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def copy(people: Path, tmp_path: Path) -> Path:
    return shutil.copytree(people, tmp_path / "people")


def refused(arguments: Sequence[object], capsys: pytest.CaptureFixture[str]) -> str:
    """What the trainer says on standard error, having exited with 2."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_a_model_is_trained(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder per person becomes a model; pictures left out are named with the reason, in a table too."""
    (copy / "Grace_Hopper" / ".hidden").write_text("not looked at")
    scene("coffee.png").save(copy / "Grace_Hopper" / "cup.png")
    main([str(copy), "--faces", "haar+hog", "--mirror", "--keep", "1", "--out", str(tmp_path / "model.skops")])
    said = capsys.readouterr().out
    assert f"left out, no face: {copy}/Grace_Hopper/cup.png" in said
    assert ["4", "3", "1", "0", "0"] in [re.findall(r"\d+", line) for line in said.splitlines()]
    assert f"Wrote {tmp_path}/model.skops" in said
    trained = artifact.load(tmp_path / "model.skops")
    assert [person.person_id for person in trained.people] == ["eileen-collins", "grace-hopper"]
    assert f"3-fold cross-validation: accuracy {trained.report['accuracy']:.3f}" in said
    assert trained.report["faces"] == 12
    assert trained.report["finder"] == "haar+hog"
    assert (trained.report["C"], trained.report["kernel"]) == (1, "linear")
    assert 0.5 < trained.calibration.threshold < 1


def test_the_published_rule_is_the_default(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Haar sees two eyes in no picture of one person here: she is left out, and training stops."""
    said = refused([people], capsys)
    assert "Too few: Grace_Hopper (" in said


def test_the_model_knows_its_data(copy: Path, tmp_path: Path) -> None:
    """The same pictures give the same data hash, one picture fewer another."""
    hashes = []
    for _ in range(2):
        main([str(copy), "--faces", "haar+hog", "--out", str(tmp_path / "model.skops")])
        hashes.append(artifact.load(tmp_path / "model.skops").data_sha256)
    next((copy / "Grace_Hopper").iterdir()).unlink()
    main([str(copy), "--faces", "haar+hog", "--out", str(tmp_path / "model.skops")])
    hashes.append(artifact.load(tmp_path / "model.skops").data_sha256)
    assert hashes[0] == hashes[1] != hashes[2]


def test_unreadable_files_are_all_named(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A text and a cut picture stop the training; both are named with what is wrong."""
    (copy / "Grace_Hopper" / "notes.txt").write_text("words")
    whole = (copy / "Eileen_Collins" / "0.jpg").read_bytes()
    (copy / "Eileen_Collins" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    said = refused([copy, "--faces", "haar+hog"], capsys)
    assert "notes.txt: This is not a JPEG, PNG or WebP picture." in said
    assert "cut.jpg: The picture is damaged or cut short" in said


def test_an_empty_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message says what a training folder looks like."""
    assert "Put each person's into a folder" in refused([tmp_path], capsys)


def test_a_missing_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the folder."""
    assert "nothing is not a folder" in refused([tmp_path / "nothing"], capsys)


def test_one_person_is_refused(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A classifier between one person and nobody cannot be trained."""
    shutil.rmtree(copy / "Grace_Hopper")
    assert "pictures of one person, Eileen_Collins" in refused([copy], capsys)


def test_one_person_under_two_names_is_refused(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Folders whose names give one identifier are named."""
    shutil.copytree(copy / "Grace_Hopper", copy / "grace hopper")
    assert "'Grace_Hopper' and 'grace hopper' are the same person, grace-hopper" in refused([copy], capsys)


@pytest.mark.parametrize("keep", ["0", "1.5", "nan"])
def test_an_impossible_share_is_refused(people: Path, keep: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--keep is a share."""
    assert "--keep is" in refused([people, "--keep", keep], capsys)


def test_a_place_that_cannot_be_written_is_refused(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The model's folder is a file: said without a traceback."""
    out = copy / "Grace_Hopper" / "0.jpg" / "model.skops"
    assert "Not trained." in refused([copy, "--faces", "haar+hog", "--out", out], capsys)
