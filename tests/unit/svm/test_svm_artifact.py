"""The file that stores a model."""

import contextlib
import io
import json
import pickle
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

from services.runtime.errors import Misconfigured
from services.svm import artifact
from services.svm.classifiers import pipeline_of
from services.svm.gallery.people import Gallery, Person
from services.svm.model import Artifact, Calibration, Sigmoid, decisions_of
from services.svm.networks.network import DLIB
from services.svm.recipes.hog_lbp import HogLbp
from services.svm.recipes.recipe import RECIPES
from services.svm.recipes.wavelet import Wavelet
from tests.support.processes import ROOT, run

PEOPLE = (Person("ada-lovelace", "Ada Lovelace"), Person("grace-hopper", "Grace Hopper"))
LENGTHS = {"embedding": DLIB.length, "hog-lbp": HogLbp.length, "wavelet": Wavelet.length}
Schema = dict[str, Any]
FOREIGN = {"__class__": "Thing", "__module__": "elsewhere"}
NOTHING = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": []}
SYSTEM = {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode"}


class Stranger:
    """A type that skops does not trust."""


@pytest.fixture(scope="module")
def trained() -> Artifact:
    random = np.random.default_rng(0)
    columns = np.repeat([0, 1], 4)
    features = random.uniform(0, 255, (8, Wavelet.length)) + columns[:, np.newaxis] * 20
    pipeline = Pipeline([("scaler", MinMaxScaler()), ("classifier", SVC(kernel="linear"))]).fit(features, columns)
    gallery = Gallery(PEOPLE, np.eye(2)[columns], columns)
    calibration = Calibration(Sigmoid(2.0, -1.0, 0.1), 0.6, identify_score=0.7)
    return Artifact("wavelet", pipeline, gallery, calibration, {"accuracy": 1.0}, "ab12")


def test_a_saved_model_is_loaded(trained: Artifact, tmp_path: Path) -> None:
    """People, calibration, report and decisions survive saving and loading; the file gives the version."""
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


def fitted(recipe: str, people: int, **choice: Any) -> Artifact:
    """Return a model of made-up faces, eight a person."""
    length, owners = LENGTHS[recipe], np.repeat(np.arange(people), 8)
    features = np.random.default_rng(people).normal(size=(len(owners), length)) + owners[:, np.newaxis]
    pipeline = pipeline_of(recipe, "minmax").set_params(**choice).fit(features, owners)
    width = people if RECIPES[recipe].compares == "decisions" else length
    names = tuple(Person(f"person-{number}", f"Person {number}") for number in range(people))
    gallery = Gallery(names, np.eye(people, width), np.arange(people))
    return Artifact(recipe, pipeline, gallery, Calibration(Sigmoid(1, 0, 0), 1), {}, "")


@pytest.mark.parametrize("people", [2, 3])
@pytest.mark.parametrize(
    ("recipe", "choice"),
    [
        ("embedding", {}),
        ("hog-lbp", {}),
        ("wavelet", {}),
        ("wavelet", {"classifier": OneVsRestClassifier(LogisticRegression(solver="liblinear"))}),
        ("wavelet", {"classifier": RandomForestClassifier(5, random_state=0)}),
    ],
    ids=["embedding", "hog-lbp", "svc", "regression", "forest"],
)
def test_a_loaded_model_decides_as_skops_own(recipe: str, choice: dict[str, Any], people: int, tmp_path: Path) -> None:
    """Each model that the trainer fits decides, once loaded, to the last bit as what skops itself loads."""
    path = tmp_path / "model.skops"
    artifact.save(fitted(recipe, people, **choice), path)
    faces = np.random.default_rng(1).normal(size=(9, LENGTHS[recipe])) * np.arange(9)[:, np.newaxis]
    expected = skops.io.load(path, trusted=["sklearn.tree._tree.Tree"])["pipeline"]
    assert np.array_equal(decisions_of(artifact.load(path).pipeline, faces), decisions_of(expected, faces))


def test_the_service_needs_no_scikit_learn() -> None:
    """Serving the demo's model imports neither scikit-learn nor SciPy nor skops, which take most of a start."""
    code = (
        "import sys; import services.svm.__main__; from services.svm import artifact;"
        "artifact.load('models/svm/demo.skops');"
        "print(*[name for name in ('sklearn', 'scipy', 'skops') if name in sys.modules])"
    )
    assert run([sys.executable, "-c", code], cwd=ROOT).stdout.split() == []


@pytest.mark.parametrize(
    "change",
    [{"left_child": 0}, {"right_child": 10**6}, {"feature": Wavelet.length}, {"feature": -1}],
    ids=["cycle", "beyond", "feature", "negative"],
)
def test_a_damaged_tree_is_refused(change: dict[str, int], tmp_path: Path) -> None:
    """A forest's tree that scikit-learn would follow out of its memory, or forever, is refused."""
    model = fitted("wavelet", 2, classifier=RandomForestClassifier(1))
    tree = model.pipeline["classifier"].estimators_[0].tree_
    state = tree.__getstate__()
    for field, value in change.items():
        state["nodes"][field][0] = value
    tree.__setstate__(state)
    artifact.save(model, tmp_path / "model.skops")
    with pytest.raises(Misconfigured, match="a tree of its forest is damaged"):
        artifact.load(tmp_path / "model.skops")


def test_two_models_have_two_versions(trained: Artifact, tmp_path: Path) -> None:
    """A different threshold gives the model a different version."""
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
    """A file that is not an artifact is the operator's mistake and is explained in one line."""
    (tmp_path / "model.skops").write_bytes(content)
    with pytest.raises(Misconfigured, match=r"model\.skops is not a model of the SVM trainer"):
        artifact.load(tmp_path / "model.skops")


def test_types_from_elsewhere_are_refused(trained: Artifact, tmp_path: Path) -> None:
    """A type that skops does not trust is named and never built, even in an otherwise valid file."""
    artifact.save(replace(trained, report={"note": Stranger()}), tmp_path / "model.skops")
    with pytest.raises(Misconfigured, match="Stranger"):
        artifact.load(tmp_path / "model.skops")


def with_schema(whole: bytes, change: Callable[[Schema], None]) -> bytes:
    """Return the file with another schema, as an attacker who knows the format would write it."""
    old, new = zipfile.ZipFile(io.BytesIO(whole)), io.BytesIO()
    schema = json.loads(old.read("schema.json"))
    change(schema)
    with zipfile.ZipFile(new, "w") as parts:
        for name in old.namelist():
            parts.writestr(name, json.dumps(schema) if name == "schema.json" else old.read(name))
    return new.getvalue()


@pytest.mark.parametrize(
    "node",
    [
        FOREIGN | {"__loader__": "ObjectNode"},
        FOREIGN | {"__loader__": "FunctionNode"},
        FOREIGN | {"__loader__": "ListNode", "content": []},
        FOREIGN | {"__loader__": "ConstructorFromReduceNode", "content": NOTHING},
        FOREIGN | {"__loader__": "NoSuchNode"},
        SYSTEM,
        {"__class__": "call", "__module__": "operator", "__loader__": "OperatorFuncNode", "attrs": NOTHING},
    ],
    ids=lambda node: f"{node['__loader__']}-{node['__module__']}",
)
def test_no_code_runs(trained: Artifact, node: Schema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file made to run code is refused before any module of its choice is imported."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "elsewhere.py").write_text("class Thing: pass")
    artifact.save(trained, tmp_path / "model.skops")
    hostile = with_schema((tmp_path / "model.skops").read_bytes(), lambda schema: schema["content"].update(report=node))
    with pytest.raises(Misconfigured, match=r"is not a model of the SVM trainer: .*(elsewhere|system|call)"):
        artifact.loads(hostile, "model.skops")
    assert "elsewhere" not in sys.modules


def test_a_zip_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file that would unpack to more than a model's maximum is not unpacked."""
    monkeypatch.setattr(artifact, "MAX_BYTES", 2**20)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("schema.json", bytes(2**20 + 1))
    with pytest.raises(Misconfigured, match="unpacks to more than"):
        artifact.loads(content.getvalue(), "model.skops")


def test_a_model_without_an_identify_score_is_loaded(trained: Artifact, tmp_path: Path) -> None:
    """A file from before there was an identify_score has one of 0.5; older servers find the calibration they know."""
    artifact.save(trained, tmp_path / "model.skops")
    older = with_schema((tmp_path / "model.skops").read_bytes(), lambda schema: schema["content"].pop("identify_score"))
    assert artifact.loads(older, "model.skops").calibration.identify_score == 0.5
    content = skops.io.load(tmp_path / "model.skops", trusted=[])
    assert sorted(content["calibration"]) == ["sigmoid", "threshold"]


def test_a_missing_part_is_named(trained: Artifact, tmp_path: Path) -> None:
    """The message is one line and names the missing part."""
    artifact.save(trained, tmp_path / "model.skops")
    less = with_schema((tmp_path / "model.skops").read_bytes(), lambda schema: schema["content"].pop("calibration"))
    with pytest.raises(
        Misconfigured, match=r"^model.skops is not a model of the SVM trainer: it lacks 'calibration'\.$"
    ):
        artifact.loads(less, "model.skops")


def test_any_damage_is_reported_as_such(trained: Artifact, tmp_path: Path) -> None:
    """A file with any wrong bytes is refused with Misconfigured, unless the bytes do not matter."""
    path, random = tmp_path / "model.skops", np.random.default_rng(5)
    artifact.save(trained, path)
    whole = path.read_bytes()
    for place in random.integers(0, len(whole), 60):
        damaged = bytearray(whole)
        damaged[place : place + 3] = random.bytes(3)
        with contextlib.suppress(Misconfigured):
            artifact.loads(bytes(damaged), "model.skops")


def test_another_format_is_refused(trained: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later format is refused by its name instead of being half understood."""
    with monkeypatch.context() as later:
        later.setattr(artifact, "FORMAT", "marquee-svm/99")
        artifact.save(trained, tmp_path / "model.skops")
    with pytest.raises(Misconfigured, match=f"not in the format {artifact.FORMAT}"):
        artifact.load(tmp_path / "model.skops")


def test_a_cut_or_changed_file_is_refused(trained: Artifact, tmp_path: Path) -> None:
    """Half a download and a flipped bit are detected."""
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
        {"gallery": Gallery(PEOPLE, np.full((2, 2), np.nan), np.array([0, 1]))},
        {"gallery": Gallery((Person("a", "A"), Person("b", "")), np.eye(2), np.array([0, 1]))},
        {"calibration": Calibration(Sigmoid(2.0, -1.0, 0.1), float("nan"))},
        {"calibration": Calibration(Sigmoid(2.0, -1.0, 0.1), 0.6, identify_score=1.5)},
        {"pipeline": Pipeline([("scaler", MinMaxScaler()), ("classifier", NearestCentroid())])},
        {"pipeline": Pipeline([("scaler", MinMaxScaler()), ("classifier", SVC())]).fit([[0.0], [1.0]], [0, 1])},
    ],
    ids=["recipe", "people", "rows", "nan", "nameless", "threshold", "score", "classifier", "features"],
)
def test_parts_that_do_not_fit_are_refused(trained: Artifact, change: dict[str, Any], tmp_path: Path) -> None:
    """A recipe, people, classifier or feature count that this recognizer cannot use is refused at load."""
    artifact.save(replace(trained, **change), tmp_path / "model.skops")
    with pytest.raises(Misconfigured):
        artifact.load(tmp_path / "model.skops")
