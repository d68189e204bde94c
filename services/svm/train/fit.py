"""Fitting of scaler and classifier, chosen and measured by cross-validation, and tested on held-out faces."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import Pipeline

from services.svm.classifiers import grid_of, name_of, pipeline_of
from services.svm.gallery.people import Gallery
from services.svm.model import Artifact, Calibration, Model, mean_decisions
from services.svm.recipes.recipe import RECIPES
from services.svm.train.calibration import STRANGER, Trial, best_scores, calibrate, names
from services.svm.train.dataset import TrainingSet
from services.svm.train.pictures import TrainingError

MAX_FOLDS = 5
MAX_TRIALS = 20
_HELD_OUT_PARTS = 5
Columns = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
Splits = list[tuple[Columns, Columns]]


@dataclass(frozen=True)
class GridPoint:
    """A classifier that was tried."""

    classifier: str
    parameters: str
    """As "C=10"."""
    mean: float
    """Accuracy in cross-validation, without UNKNOWN: mean of the folds."""
    spread: float
    """Standard deviation of the folds."""
    chosen: bool


@dataclass(frozen=True)
class Fit:
    """A fitted classifier, its calibration and its measurements."""

    recipe: str
    pipeline: Pipeline
    gallery: Gallery
    calibration: Calibration
    report: dict[str, Any]
    known: Trial
    """Every face, as judged by a model that had not seen its group; in the training set's order."""
    trials: list[Trial]
    """For each person left out, all faces as judged by models that knew neither the person nor the face's group."""
    grid: list[GridPoint]
    """All that was tried, in the order of trying."""


def fit(faces: TrainingSet, scaler: str = "minmax", false_accepts: float | None = None) -> Fit:
    """Fit on all faces the choice that did best in cross-validation (at most five folds).

    `scaler` is one of SCALERS; `false_accepts` the share of held-out strangers that may be taken for somebody
    (None: see `calibrate`). Raises TrainingError if the faces cannot be told apart.
    """
    splits = _splits(faces)
    search = _search(faces, scaler, splits)
    best, everybody = search.best_estimator_, np.arange(len(faces.owners))
    known = _known_trial(faces, best, splits)
    trials = _stranger_trials(faces, best)
    calibration = calibrate(known, trials, false_accepts)
    _check_separation(calibration)
    report = {"folds": len(splits)} | _choice(best, search.best_params_) | measure(known, trials, calibration)
    if faces.recipe == "wavelet":
        report["scaler"] = scaler
    return Fit(faces.recipe, best, _gallery(faces, best, everybody), calibration, report, known, trials, _grid(search))


def held_out_report(faces: TrainingSet, scaler: str, false_accepts: float | None) -> dict[str, Any]:
    """Fit on four fifths of the groups, name the rest, and return numbers for the report.

    Empty if there are too few groups for it.
    """
    splitter = StratifiedGroupKFold(_HELD_OUT_PARTS, shuffle=True, random_state=0)
    if min(len(np.unique(faces.groups[faces.owners == one])) for one in np.unique(faces.owners)) < _HELD_OUT_PARTS:
        return {}
    train, test = next(splitter.split(faces.owners, faces.owners, faces.groups))
    try:
        fitted = fit(faces.part(train), scaler, false_accepts)
    except TrainingError:
        return {}
    owners = [faces.people[owner].person_id for owner in faces.owners[test]]
    return _measure_names(owners, _names(fitted, faces.part(test)))


def measure(known: Trial, trials: list[Trial], calibration: Calibration) -> dict[str, Any]:
    """Return how often names are right, how well strangers are detected, and what threshold and score do to both."""
    people, found = range(known.decisions.shape[1]), names(calibration, known)
    nobody_unknown = names(replace(calibration, threshold=np.inf), known)
    report = {
        "faces": len(known.owners),
        "accuracy": float(accuracy_score(known.owners, found)),
        "macro_f1": float(f1_score(known.owners, found, labels=people, average="macro", zero_division=0)),
        "rank_1": float(accuracy_score(known.owners, nobody_unknown)),
        "rank_1_macro_f1": float(f1_score(known.owners, nobody_unknown, average="macro")),
        "known_kept": float((known.nearest <= calibration.threshold).mean()),
        "threshold": calibration.threshold,
        "identify_score": calibration.identify_score,
    }
    return report | (_measure_strangers(trials, calibration) if trials else {})


def _measure_strangers(trials: list[Trial], calibration: Calibration) -> dict[str, float]:
    strange = np.concatenate([one.strange for one in trials])
    scores = np.concatenate([best_scores(calibration, one) for one in trials])
    right = np.concatenate([names(calibration, one) == one.owners for one in trials])
    identified = scores >= calibration.identify_score
    return {
        "stranger_auroc": float(np.mean([roc_auc_score(one.strange, one.nearest) for one in trials])),
        "strangers_accepted": float((scores[strange] > 0).mean()),
        "strangers_identified": float(identified[strange].mean()),
        "known_identified": float((identified & right)[~strange].mean()),
    }


def _splits(faces: TrainingSet) -> Splits:
    return list(StratifiedGroupKFold(_folds(faces)).split(faces.owners, faces.owners, faces.groups))


def _folds(faces: TrainingSet) -> int:
    """Return five, or as many as the rarest person has groups of pictures."""
    _, first = np.unique(faces.groups, return_index=True)
    return min(MAX_FOLDS, *Counter(faces.owners[first].tolist()).values())


def _search(faces: TrainingSet, scaler: str, splits: Splits) -> GridSearchCV:
    views = faces.features.shape[1]
    rows = np.arange(faces.features.shape[0] * views).reshape(-1, views)
    row_splits = [(rows[train].ravel(), rows[test].ravel()) for train, test in splits]
    search = GridSearchCV(pipeline_of(faces.recipe, scaler), grid_of(faces.recipe), cv=row_splits)
    return search.fit(*_rows(faces, np.arange(len(faces.owners))))


def _rows(faces: TrainingSet, which: Columns) -> tuple[Numbers, Columns]:
    """Return all views of some faces as rows, and their owners."""
    views = faces.features[which]
    return views.reshape(-1, views.shape[2]), np.repeat(faces.owners[which], views.shape[1])


def _known_trial(faces: TrainingSet, pipeline: Pipeline, splits: Splits) -> Trial:
    """Judge every face by a model of the other folds."""
    people = len(np.unique(faces.owners))
    decisions, distances = np.empty((2, len(faces.owners), people))
    for train, test in splits:
        decisions[test], distances[test] = _judge(faces, pipeline, train, test)
    owners = np.unique(faces.owners, return_inverse=True)[1]
    return Trial(decisions, distances, owners, np.arange(len(owners)))


def _stranger_trials(faces: TrainingSet, pipeline: Pipeline) -> list[Trial]:
    """Make each person (of many, some) in turn a stranger to models of the others, if two or more are left."""
    people = len(faces.people)
    if people <= 2 and RECIPES[faces.recipe].compares == "decisions":  # noqa: PLR2004 - as the docstring says
        return []
    strangers = np.unique(np.linspace(0, people - 1, min(people, MAX_TRIALS)).round().astype(int))
    return [_stranger_trial(faces, pipeline, person) for person in strangers.tolist()]


def _stranger_trial(faces: TrainingSet, pipeline: Pipeline, person: int) -> Trial:
    """Judge the others' faces in cross-validation, and among them the stranger's, a share of them in every fold."""
    others, own = np.flatnonzero(faces.owners != person), np.flatnonzero(faces.owners == person)
    rest = faces.part(others)
    known = np.unique(rest.owners, return_inverse=True)[1]
    folds = _folds(rest)
    parts = []
    for fold, (train, test) in enumerate(_splits(rest)):
        strange = own[fold::folds]
        judged = _judge(faces, pipeline, others[train], np.concatenate([others[test], strange]))
        whose = np.concatenate([known[test], np.full(len(strange), STRANGER)])
        parts.append((*judged, whose, np.concatenate([others[test], strange])))
    decisions, distances, owners, numbers = zip(*parts, strict=True)
    return Trial(np.vstack(decisions), np.vstack(distances), np.concatenate(owners), np.concatenate(numbers))


def _judge(faces: TrainingSet, pipeline: Pipeline, train: Columns, test: Columns) -> tuple[Numbers, Numbers]:
    """Return a model's decisions and distances [test, people] about the people of `train`, which it is fitted on."""
    views = faces.features[test][:, : RECIPES[faces.recipe].view_count]
    owners = np.unique(faces.owners[train])
    fitted = clone(pipeline).fit(*_rows(faces, train)) if len(owners) > 1 else None
    gallery = _gallery(faces, fitted, train)
    decisions = mean_decisions(fitted, views) if fitted else np.zeros((len(test), 1))
    vectors = decisions if RECIPES[faces.recipe].compares == "decisions" else views.mean(axis=1)
    return decisions, gallery.distances(vectors)[:, owners]


def _gallery(faces: TrainingSet, pipeline: Pipeline | None, which: Columns) -> Gallery:
    views = faces.features[which][:, : RECIPES[faces.recipe].view_count]
    by_decisions = RECIPES[faces.recipe].compares == "decisions"
    rows = mean_decisions(pipeline, views) if by_decisions else views.mean(axis=1)
    return Gallery(faces.people, rows, faces.owners[which])


def _check_separation(calibration: Calibration) -> None:
    if calibration.sigmoid.decision <= 0 and calibration.sigmoid.distance >= 0:
        raise TrainingError("In cross-validation the faces could not be told apart. Add pictures of each person.")


def _choice(best: Pipeline, params: dict[str, Any]) -> dict[str, Any]:
    """Return the grid's choice in words and numbers, which is what the artifact may hold."""
    return {"classifier": name_of(best["classifier"])} | _plain(params)


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    plain = {name.rpartition("__")[2]: value for name, value in params.items()}
    return {name: value for name, value in plain.items() if name not in {"classifier", "kernel"}}


def _grid(search: GridSearchCV) -> list[GridPoint]:
    results = search.cv_results_
    points = zip(results["params"], results["mean_test_score"], results["std_test_score"], strict=True)
    return [
        GridPoint(
            name_of(clone(search.estimator).set_params(**params)["classifier"]),
            ", ".join(f"{name}={value}" for name, value in _plain(params).items()),
            float(mean),
            float(spread),
            chosen=bool(number == search.best_index_),
        )
        for number, (params, mean, spread) in enumerate(points)
    ]


def _names(fitted: Fit, faces: TrainingSet) -> list[str]:
    """Return the person_id that each face gets; "" if it is nobody's."""
    recipe = RECIPES[faces.recipe]
    artifact = Artifact(faces.recipe, fitted.pipeline, fitted.gallery, fitted.calibration, {}, "")
    model = Model(artifact, recipe())
    best = model.candidates(faces.features[:, : recipe.view_count])
    return [candidates[0].person_id if candidates else "" for candidates in best]


def _measure_names(owners: list[str], names: list[str]) -> dict[str, Any]:
    right = [name == owner for name, owner in zip(names, owners, strict=True)]
    macro = f1_score(owners, names, labels=sorted(set(owners)), average="macro", zero_division=0)
    return {
        "held_out_faces": len(right),
        "held_out_accuracy": float(np.mean(right)),
        "held_out_macro_f1": float(macro),
        "held_out_unknown": float(np.mean([not name for name in names])),
    }
