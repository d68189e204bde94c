"""Scaler and classifier of each recipe, and the choices that training tries."""

from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler
from sklearn.svm import SVC, LinearSVC

from services.svm.recipes import hog_lbp

SCALERS = {"minmax": MinMaxScaler, "standard": StandardScaler}
CLASSIFIERS = (SVC, LinearSVC, RandomForestClassifier, OneVsRestClassifier)
Grid = dict[str, Any] | list[dict[str, list[Any]]]


def pipeline_of(recipe: str, scaler: str) -> Pipeline:
    """Return an unfitted pipeline. `scaler`, one of SCALERS, is the wavelet recipe's; the others have their own."""
    match recipe:
        case "wavelet":
            return _pipeline(SCALERS[scaler](), SVC(gamma="auto"))
        case "hog-lbp":
            return _pipeline(_blocks(), LinearSVC(class_weight="balanced"))
        case "embedding":
            return _pipeline(StandardScaler(), LinearSVC(class_weight="balanced"))
    raise ValueError(recipe)


def grid_of(recipe: str) -> Grid:
    """Return what cross-validation chooses from; the first of equally good ones wins."""
    match recipe:
        case "wavelet":
            return _published()
        case "hog-lbp":
            return {"classifier__C": [1]}
    return {"classifier__C": [0.01, 0.1, 1]}


def _published() -> list[dict[str, list[Any]]]:
    """Return the published grid, its published winner first."""
    regression = OneVsRestClassifier(LogisticRegression(solver="liblinear", random_state=0))
    return [
        {"classifier__C": [1, 10, 100, 1000], "classifier__kernel": ["linear", "rbf"]},
        {"classifier": [regression], "classifier__estimator__C": [1, 5, 10]},
        {"classifier": [RandomForestClassifier(random_state=0)], "classifier__n_estimators": [1, 5, 10]},
    ]


def _pipeline(scaler: Any, classifier: Any) -> Pipeline:
    return Pipeline([("scaler", scaler), ("classifier", classifier)])


def _blocks() -> ColumnTransformer:
    """Centre HOG and LBP and scale each to length 1, so that neither drowns the other."""
    parts = {"hog": slice(0, hog_lbp.HOG_LENGTH), "lbp": slice(hog_lbp.HOG_LENGTH, hog_lbp.HogLbp.length)}
    centred = Pipeline([("centre", StandardScaler(with_std=False)), ("normalise", Normalizer())])
    return ColumnTransformer([(name, centred, part) for name, part in parts.items()])
