"""The file of a model."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

from services.runtime.errors import Misconfigured
from services.svm import artifact
from services.svm.artifact import Artifact
from services.svm.calibration import Calibration, Sigmoid
from services.svm.gallery import Gallery
from services.svm.people import Person
from services.svm.wavelet import Wavelet


class Stranger:
    """Of no type that skops trusts."""


@pytest.fixture(scope="module")
def trained() -> Artifact:
    random = np.random.default_rng(0)
    columns = np.repeat([0, 1], 4)
    features = random.uniform(0, 255, (8, Wavelet.length)) + columns[:, np.newaxis] * 20
    pipeline = Pipeline([("scaler", MinMaxScaler()), ("classifier", SVC(kernel="linear"))]).fit(features, columns)
    people = (Person("ada-lovelace", "Ada Lovelace"), Person("grace-hopper", "Grace Hopper"))
    gallery = Gallery(people, np.eye(2)[columns], columns)
    calibration = Calibration(Sigmoid(2.0, -1.0, 0.1), 0.6)
    return Artifact("wavelet", pipeline, gallery, calibration, {"accuracy": 1.0}, "ab12")


def test_what_is_saved_is_loaded(trained: Artifact, tmp_path: Path) -> None:
    """People, calibration, report and decisions survive the file; the version is new."""
    artifact.save(trained, tmp_path / "folder" / "model.skops")
    loaded = artifact.load(tmp_path / "folder" / "model.skops")
    faces = np.random.default_rng(1).uniform(0, 255, (3, Wavelet.length))
    assert np.array_equal(loaded.pipeline.decision_function(faces), trained.pipeline.decision_function(faces))
    assert (loaded.recipe, loaded.calibration, loaded.report, loaded.data_sha256) == (
        trained.recipe,
        trained.calibration,
        trained.report,
        trained.data_sha256,
    )
    assert loaded.gallery.people == trained.gallery.people
    assert np.array_equal(loaded.gallery.rows, trained.gallery.rows)
    assert np.array_equal(loaded.gallery.owners, trained.gallery.owners)
    assert len(loaded.version) == 12
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["model.skops"]


def test_two_models_have_two_versions(trained: Artifact, tmp_path: Path) -> None:
    """Another threshold is another model."""
    versions = set()
    for threshold in (0.5, 0.6):
        artifact.save(
            replace(trained, calibration=replace(trained.calibration, threshold=threshold)), tmp_path / "model.skops"
        )
        versions.add(artifact.load(tmp_path / "model.skops").version)
    assert len(versions) == 2


def test_a_missing_model_says_how_to_make_one(tmp_path: Path) -> None:
    """The message names the file, the trainer and the setting."""
    with pytest.raises(Misconfigured, match=r"nothing\.skops .*services\.svm\.train.*MARQUEE_SVM_MODEL"):
        artifact.load(tmp_path / "nothing.skops")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        pickle.dumps({"format": artifact.FORMAT}),
        skops.io.dumps(SVC()),
        skops.io.dumps({"format": "other/1"}),
        skops.io.dumps({"format": artifact.FORMAT}),
    ],
    ids=["empty", "text", "pickle", "estimator", "format", "incomplete"],
)
def test_anything_else_is_refused(content: bytes, tmp_path: Path) -> None:
    """A file that is no artifact is the operator's mistake, told in one line."""
    (tmp_path / "model.skops").write_bytes(content)
    with pytest.raises(Misconfigured, match=r"model\.skops is no model of the SVM trainer"):
        artifact.load(tmp_path / "model.skops")


def test_types_from_elsewhere_are_refused(trained: Artifact, tmp_path: Path) -> None:
    """A type that skops does not trust is named and never built, even in a file that is right otherwise."""
    artifact.save(replace(trained, report={"note": Stranger()}), tmp_path / "model.skops")
    with pytest.raises(Misconfigured, match="Stranger"):
        artifact.load(tmp_path / "model.skops")


def test_another_format_is_refused(trained: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later format is refused by its name, not half understood."""
    with monkeypatch.context() as later:
        later.setattr(artifact, "FORMAT", "marquee-svm/99")
        artifact.save(trained, tmp_path / "model.skops")
    with pytest.raises(Misconfigured, match=f"not in the format {artifact.FORMAT}"):
        artifact.load(tmp_path / "model.skops")


def test_a_cut_or_changed_file_is_refused(trained: Artifact, tmp_path: Path) -> None:
    """Half a download and a flipped bit are found out."""
    path = tmp_path / "model.skops"
    artifact.save(trained, path)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for content in (whole[: len(whole) // 2], bytes(flipped)):
        path.write_bytes(content)
        with pytest.raises(Misconfigured):
            artifact.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"recipe": "unheard-of"},
        {"gallery": Gallery((Person("ada-lovelace", "Ada Lovelace"),), np.eye(2), np.array([0, 0]))},
        {"gallery": Gallery((Person("a", "A"), Person("b", "B")), np.eye(3)[:2], np.array([0, 1]))},
        {"pipeline": Pipeline([("scaler", MinMaxScaler()), ("classifier", NearestCentroid())])},
        {"pipeline": Pipeline([("scaler", MinMaxScaler()), ("classifier", SVC())]).fit([[0.0], [1.0]], [0, 1])},
    ],
    ids=["recipe", "people", "rows", "classifier", "features"],
)
def test_parts_that_do_not_fit_are_refused(trained: Artifact, change: dict[str, Any], tmp_path: Path) -> None:
    """A recipe, people, classifier or feature count that this recognizer cannot use is refused at load."""
    artifact.save(replace(trained, **change), tmp_path / "model.skops")
    with pytest.raises(Misconfigured):
        artifact.load(tmp_path / "model.skops")
