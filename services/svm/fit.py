"""Fits scaler and SVC, chosen and measured by cross-validation."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from services.svm.artifact import SCALERS
from services.svm.calibration import Calibration, by_person, calibrate
from services.svm.training_set import TrainingError, TrainingSet

MOST_FOLDS = 5
# The first of equally good ones is taken: C=1, linear, as published.
GRID = {"svc__C": [1, 10, 100, 1000], "svc__kernel": ["linear", "rbf"]}


@dataclass(frozen=True)
class Fitted:
    """A classifier, its scores and what was measured."""

    pipeline: Pipeline
    calibration: Calibration
    report: dict[str, Any]


def fit(faces: TrainingSet, scaler: str, keep: float) -> Fitted:
    """Fits on all faces what did best in cross-validation (at most five folds).

    `scaler` is one of SCALERS; `keep` is the share of the rightly named faces that the threshold keeps.
    Raises TrainingError when the faces cannot be told apart.
    """
    splits = StratifiedGroupKFold(_folds(faces))
    search = GridSearchCV(_pipeline(scaler), GRID, cv=splits).fit(faces.features, faces.columns, groups=faces.groups)
    best = search.best_estimator_
    unseen = cross_val_predict(
        best, faces.features, faces.columns, groups=faces.groups, cv=splits, method="decision_function"
    )
    decisions = by_person(unseen)
    calibration = calibrate(decisions, faces.columns, keep)
    if calibration.slope <= 0:
        raise TrainingError("In cross-validation the faces could not be told apart. Add pictures of each person.")
    chosen = {"scaler": scaler, "keep": keep, "C": best["svc"].C, "kernel": best["svc"].kernel}
    return Fitted(best, calibration, chosen | _measure(faces, decisions))


def _folds(faces: TrainingSet) -> int:
    """Five, or as many as the rarest person has pictures."""
    _, first = np.unique(faces.groups, return_index=True)
    return min(MOST_FOLDS, *Counter(faces.columns[first].tolist()).values())


def _pipeline(scaler: str) -> Pipeline:
    return Pipeline([("scaler", SCALERS[scaler]()), ("svc", SVC(gamma="auto"))])


def _measure(faces: TrainingSet, decisions: Any) -> dict[str, Any]:
    named = np.argmax(decisions, axis=1)
    return {
        "faces": len(faces.columns),
        "folds": _folds(faces),
        "accuracy": float(accuracy_score(faces.columns, named)),
        "macro_f1": float(f1_score(faces.columns, named, average="macro")),
    }
