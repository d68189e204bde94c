"""Tests of the launcher's command line: what users bring along is checked before anything starts."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import skops.io

from local import options
from local.pictures import write_gallery
from services.svm import artifact
from tests.support.processes import ROOT

_SVM = ROOT / "models/svm/demo.skops"
_KERAS = ROOT / "models/keras/celebrity"


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _broken_labels(folder: Path) -> None:
    shutil.copytree(_KERAS, folder / "mine")
    assets = folder / "mine/1/assets/marquee.json"
    assets.write_text(json.dumps(json.loads(assets.read_text()) | {"labels": ["one", "two", "three"]}))


def _broken_network(folder: Path) -> None:
    shutil.copytree(_KERAS, folder / "mine")
    (folder / "mine/1/model.onnx").write_bytes(b"none")
    (folder / "mine/1/saved_model.pb").unlink()


def _leading_zero(folder: Path) -> None:
    shutil.copytree(_KERAS / "1", folder / "mine/007")


def _file(folder: Path) -> None:
    (folder / "my model.H5").write_bytes(b"")


def _hidden(folder: Path) -> None:
    for path in ("people/.thumbnails/1.jpg", "people/ada/._1.jpg", "people/._1.jpg.json"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"")


def _cut(folder: Path) -> None:
    (folder / "cut.skops").write_bytes(_SVM.read_bytes()[:1000])


def _people(folder: Path) -> None:
    (folder / "people" / "ada").mkdir(parents=True)


def _annotation(folder: Path) -> None:
    (folder / "notes").mkdir()
    (folder / "notes" / f"{'0' * 64}.json").write_text('{"Labels": [{"Name": "Street"}]}')


@pytest.mark.parametrize(
    ("prepare", "arguments", "message"),
    [
        (_cut, ("--svm-model", "cut.skops"), "cut.skops is not a model of the SVM trainer"),
        (_cut, ("--svm-model", "none.skops"), "none.skops"),
        (_cut, ("--keras-model", "none"), "none is not a folder"),
        (_people, ("--keras-model", "people"), "people has no version of a model"),
        (_broken_labels, ("--keras-model", "mine/1"), "mine/1 is one version of a model: name the folder"),
        (_broken_labels, ("--keras-model", "mine"), "2 scores for the labels one, two, three"),
        (_broken_network, ("--keras-model", "mine"), "model.onnx cannot be loaded"),
        (_leading_zero, ("--keras-model", "mine"), "mine/007 is not called by its number: rename it to 7"),
        (_file, ("--keras-model", "my model.H5"), "python -m services.keras.convert 'my model.H5' 'my model/1'"),
        (_hidden, ("--gallery", "people"), "'people' has no pictures of people"),
        (_hidden, ("--annotations", "people"), "people has no annotations"),
        (_people, ("--gallery", ""), "it is empty"),
        (_people, ("--bucket", "marquee-demo"), "there is a bucket 'marquee-demo' already"),
        (_people, ("--bucket", "own="), "it is empty"),
        (_people, ("--gallery", "people"), "'people' has no pictures of people"),
        (_people, ("--annotations", "people"), "people has no annotations"),
        (_annotation, ("--annotations", "notes"), "every entry needs a Confidence"),
        (_people, ("--bucket", "No_Bucket"), "'No_Bucket' is no bucket's name"),
        (_people, ("--bucket", "a..b"), "'a..b' is no bucket's name"),
        (_people, ("--bucket", "10.0.0.1"), "'10.0.0.1' is no bucket's name"),
        (_people, ("--bucket", "own=none"), "'none' is not a folder"),
    ],
)
def test_what_is_not_usable_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    prepare: Callable[[Path], None],
    arguments: tuple[str, str],
    message: str,
) -> None:
    """A wrong value exits 2 and says on the last line what is wrong with it."""
    prepare(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        options.parse([*arguments, "--state", str(tmp_path / "state")])
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"argument {arguments[0]}: " in last
    assert message in last


def test_what_is_usable_is_taken(tmp_path: Path) -> None:
    """Models, people, annotations and buckets that can be used pass, and a trained model takes enrollments."""
    write_gallery(tmp_path / "gallery")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / f"{'0' * 64}.json").write_text('{"Labels": [{"Name": "Street", "Confidence": 90}]}')
    arguments = ["--state", str(tmp_path), "--svm-model", str(_SVM), "--keras-model", str(_KERAS)]
    arguments += ["--gallery", str(tmp_path / "gallery"), "--annotations", str(tmp_path / "notes")]
    own = options.parse([*arguments, "--collections", "--bucket", "empty", "--bucket", f"own={tmp_path}"])
    assert (own.svm_model.path, own.svm_model.learns, own.keras_model) == (_SVM, True, _KERAS)
    assert (own.buckets, own.collections) == ([("empty", None), ("own", tmp_path)], True)


def test_a_model_of_another_scikit_learn_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If a model cannot be read, and another scikit-learn made it, the message tells what to do."""
    skops.io.dump({"format": artifact.FORMAT, "versions": {"scikit-learn": "0.1.2"}}, tmp_path / "old.skops")
    with pytest.raises(SystemExit, match="2"):
        options.parse(["--svm-model", str(tmp_path / "old.skops"), "--state", str(tmp_path)])
    assert "It was made with scikit-learn 0.1.2, and " in capsys.readouterr().err
