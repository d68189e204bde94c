"""Fits scaler and classifier, chosen and measured by cross-validation."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import Pipeline

from services.svm.calibration import STRANGER, Calibration, Unseen, calibrate
from services.svm.classifiers import grid_of, pipeline_of
from services.svm.decisions import decide_with
from services.svm.gallery.vectors import Gallery
from services.svm.recipes.recipe import RECIPES
from services.svm.train.dataset import TrainingError, TrainingSet

MOST_FOLDS = 5
MOST_TRIALS = 20
Columns = npt.NDArray[np.int64]
Splits = list[tuple[Columns, Columns]]


@dataclass(frozen=True)
class Fitted:
    """A classifier, its scores and what was measured."""

    pipeline: Pipeline
    gallery: Gallery
    calibration: Calibration
    report: dict[str, Any]
    known: Unseen
    """Every face, as a model said that had not seen its group; in the training set's order."""
    trials: list[Unseen]
    """For each person left out, all faces as models said that knew neither the person nor the face's group."""


def fit(faces: TrainingSet, scaler: str = "minmax", false_accepts: float | None = None) -> Fitted:
    """Fits on all faces what did best in cross-validation (at most five folds).

    `scaler` is one of SCALERS; `false_accepts` the share of held-out strangers that may pass for somebody
    (None: see `calibrate`). Raises TrainingError when the faces cannot be told apart.
    """
    splits = _splits(faces)
    search = _search(faces, scaler, splits)
    best, everybody = search.best_estimator_, np.arange(len(faces.owners))
    known = _unseen(faces, best, splits)
    trials = _trials(faces, best)
    calibration = calibrate(known, trials, false_accepts)
    _check_told_apart(calibration)
    report = {"folds": len(splits)} | _told(search.best_params_) | measure(known, trials, calibration)
    if faces.recipe == "wavelet":
        report["scaler"] = scaler
    return Fitted(best, _gallery(faces, best, everybody), calibration, report, known, trials)


def _splits(faces: TrainingSet) -> Splits:
    return list(StratifiedGroupKFold(_folds(faces)).split(faces.owners, faces.owners, faces.groups))


def _folds(faces: TrainingSet) -> int:
    """Five, or as many as the rarest person has groups of pictures."""
    _, first = np.unique(faces.groups, return_index=True)
    return min(MOST_FOLDS, *Counter(faces.owners[first].tolist()).values())


def _search(faces: TrainingSet, scaler: str, splits: Splits) -> GridSearchCV:
    views = faces.features.shape[1]
    places = np.arange(faces.features.shape[0] * views).reshape(-1, views)
    of_views = [(places[train].ravel(), places[test].ravel()) for train, test in splits]
    search = GridSearchCV(pipeline_of(faces.recipe, scaler), grid_of(faces.recipe), cv=of_views)
    return search.fit(*_flat(faces, np.arange(len(faces.owners))))


def _flat(faces: TrainingSet, which: Columns) -> tuple[npt.NDArray[np.float64], Columns]:
    """All views of some faces as rows, and their owners."""
    views = faces.features[which]
    return views.reshape(-1, views.shape[2]), np.repeat(faces.owners[which], views.shape[1])


def _unseen(faces: TrainingSet, pipeline: Pipeline, splits: Splits) -> Unseen:
    """Every face as a model of the other folds sees it."""
    people = len(np.unique(faces.owners))
    decisions, distances = np.empty((2, len(faces.owners), people))
    for train, test in splits:
        decisions[test], distances[test] = _ask(faces, pipeline, train, test)
    return Unseen(decisions, distances, np.unique(faces.owners, return_inverse=True)[1])


def _trials(faces: TrainingSet, pipeline: Pipeline) -> list[Unseen]:
    """Each person (of many, some) in turn as a stranger to models of the others, where two or more are left."""
    people = len(faces.people)
    if people <= 2 and RECIPES[faces.recipe].compares == "decisions":  # noqa: PLR2004 - as said
        return []
    chosen = np.unique(np.linspace(0, people - 1, min(people, MOST_TRIALS)).round().astype(int))
    return [_trial(faces, pipeline, person) for person in chosen.tolist()]


def _trial(faces: TrainingSet, pipeline: Pipeline, person: int) -> Unseen:
    """The others' faces in cross-validation, and among them the stranger's, a share of them in every fold."""
    others, own = np.flatnonzero(faces.owners != person), np.flatnonzero(faces.owners == person)
    rest = faces.part(others)
    asked = [
        (_ask(faces, pipeline, others[train], np.concatenate([others[test], own[fold :: _folds(rest)]])), test, fold)
        for fold, (train, test) in enumerate(_splits(rest))
    ]
    known = np.unique(rest.owners, return_inverse=True)[1]
    owners = [np.concatenate([known[test], np.full(len(own[fold :: len(asked)]), STRANGER)]) for _, test, fold in asked]
    return Unseen(
        np.vstack([decisions for (decisions, _), _, _ in asked]),
        np.vstack([distances for (_, distances), _, _ in asked]),
        np.concatenate(owners),
    )


def _ask(faces: TrainingSet, pipeline: Pipeline, train: Columns, test: Columns) -> tuple[Any, Any]:
    """Decisions and distances [test, people] of a model of `train`, about the people it knows."""
    asked = faces.features[test][:, : RECIPES[faces.recipe].asked]
    owners = np.unique(faces.owners[train])
    fitted = clone(pipeline).fit(*_flat(faces, train)) if len(owners) > 1 else None
    gallery = _gallery(faces, fitted, train)
    decisions = _mean_decisions(fitted, asked) if fitted else np.zeros((len(test), 1))
    compared = decisions if RECIPES[faces.recipe].compares == "decisions" else asked.mean(axis=1)
    return decisions, gallery.distances(compared)[:, owners]


def _gallery(faces: TrainingSet, pipeline: Pipeline | None, which: Columns) -> Gallery:
    asked = faces.features[which][:, : RECIPES[faces.recipe].asked]
    by_decisions = RECIPES[faces.recipe].compares == "decisions"
    rows = _mean_decisions(pipeline, asked) if by_decisions else asked.mean(axis=1)
    return Gallery(faces.people, rows, faces.owners[which])


def _mean_decisions(pipeline: Pipeline | None, views: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    each = decide_with(pipeline)(views.reshape(-1, views.shape[2]))
    return np.asarray(each.reshape(*views.shape[:2], -1).mean(axis=1))


def _check_told_apart(calibration: Calibration) -> None:
    if calibration.sigmoid.decision <= 0 and calibration.sigmoid.distance >= 0:
        raise TrainingError("In cross-validation the faces could not be told apart. Add pictures of each person.")


def _told(chosen: dict[str, Any]) -> dict[str, Any]:
    """The grid's choice in words and numbers, which is what the artifact may hold."""
    plain = {name.rpartition("__")[2]: value for name, value in chosen.items()}
    classifier = plain.pop("classifier", None)
    return plain | ({"classifier": type(classifier).__name__} if classifier is not None else {})


def measure(known: Unseen, trials: list[Unseen], calibration: Calibration) -> dict[str, Any]:
    """Accuracy and macro-F1 of naming; how well strangers are told, and what the threshold makes of both."""
    named = known.decisions.argmax(axis=1)
    told = {
        "faces": len(known.owners),
        "accuracy": float(accuracy_score(known.owners, named)),
        "macro_f1": float(f1_score(known.owners, named, average="macro")),
        "known_kept": float((known.nearest <= calibration.threshold).mean()),
    }
    if trials:
        strangers = np.concatenate([one.nearest[one.strange] for one in trials])
        told["stranger_auroc"] = float(np.mean([roc_auc_score(one.strange, one.nearest) for one in trials]))
        told["strangers_accepted"] = float((strangers <= calibration.threshold).mean())
    return told
