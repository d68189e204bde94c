"""Fits scaler and SVC, chosen and measured by cross-validation."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from services.svm.artifact import SCALERS
from services.svm.calibration import Calibration, by_person, calibrate
from services.svm.training_set import TrainingSet

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
    """Fits on all faces what did best in cross-validation (at most five folds, the files in order).

    `scaler` is one of SCALERS; `keep` is the share of the known faces that the threshold keeps.
    """
    folds = min(MOST_FOLDS, *Counter(faces.columns.tolist()).values())
    splits = StratifiedKFold(folds)
    search = GridSearchCV(_pipeline(scaler), GRID, cv=splits).fit(faces.features, faces.columns)
    best = search.best_estimator_
    unseen = cross_val_predict(best, faces.features, faces.columns, cv=splits, method="decision_function")
    decisions = by_person(unseen)
    report = {"folds": folds, "scaler": scaler, "keep": keep, "C": best["svc"].C, "kernel": best["svc"].kernel}
    return Fitted(best, calibrate(decisions, faces.columns, keep), report | _measure(faces, decisions))


def _pipeline(scaler: str) -> Pipeline:
    return Pipeline([("scaler", SCALERS[scaler]()), ("svc", SVC(gamma="auto"))])


def _measure(faces: TrainingSet, decisions: Any) -> dict[str, Any]:
    named = np.argmax(decisions, axis=1)
    return {
        "faces": len(faces.columns),
        "accuracy": float(accuracy_score(faces.columns, named)),
        "macro_f1": float(f1_score(faces.columns, named, average="macro")),
    }
