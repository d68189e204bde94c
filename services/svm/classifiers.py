"""scikit-learn's scaler and classifier of each recipe, and the choices that training tries."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import LabelBinarizer, MinMaxScaler, Normalizer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree._tree import TREE_LEAF, Tree

from services.svm.archive import Stored
from services.svm.recipes import hog_lbp

SCALERS = {"minmax": MinMaxScaler, "standard": StandardScaler}
_CLASSIFIERS = (SVC, LinearSVC, RandomForestClassifier, OneVsRestClassifier)
_SCALERS = (*SCALERS.values(), ColumnTransformer, Normalizer, Pipeline)
_PARTS = (LogisticRegression, LabelBinarizer, DecisionTreeClassifier, Tree)
_TYPES = {f"{one.__module__}.{one.__qualname__}": one for one in (*_CLASSIFIERS, *_SCALERS, *_PARTS)}
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


def name_of(classifier: BaseEstimator) -> str:
    """Return the classifier's own name, and an SVC's with its kernel: "LogisticRegression", "SVC (rbf)"."""
    if isinstance(classifier, OneVsRestClassifier):
        return name_of(classifier.estimator)
    return f"SVC ({classifier.kernel})" if isinstance(classifier, SVC) else type(classifier).__name__


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


def built(stored: Stored) -> Pipeline:
    """Build the fitted pipeline of a file. Raises ValueError for what the trainer does not fit."""
    (_, scaler), _ = stored.state["steps"]
    pipeline = _built(stored, scaler.state["n_features_in_"])
    if type(pipeline) is not Pipeline or type(pipeline["classifier"]) not in _CLASSIFIERS:
        raise ValueError("it is not a scaler and a classifier that the trainer fits")
    return pipeline


def _built(value: Any, length: int) -> Any:
    match value:
        case Stored():
            return _object(value, length)
        case list() | tuple():
            return type(value)(_built(one, length) for one in value)
        case dict():
            return {key: _built(one, length) for key, one in value.items()}
    return value


def _object(stored: Stored, length: int) -> Any:
    kind = _TYPES.get(stored.type)
    if kind is None:
        raise ValueError(f"it holds a {stored.type}, which the trainer does not fit")
    if kind is Tree:
        _check_tree(stored.state, length)
    one = kind.__new__(kind, *stored.arguments)
    one.__setstate__(_built(stored.state, length))
    return one


def _check_tree(state: dict[str, Any], length: int) -> None:
    """Check what scikit-learn follows unchecked: each node's feature, and its children, which come after it."""
    nodes = state["nodes"]
    (inner,) = np.nonzero(nodes["left_child"] != TREE_LEAF)
    children = np.array([nodes["left_child"][inner], nodes["right_child"][inner]])
    features = nodes["feature"][inner]
    follow = (children > inner).all() and (children < len(nodes)).all()
    if not follow or state["node_count"] != len(nodes) or not ((features >= 0) & (features < length)).all():
        raise ValueError("a tree of its forest is damaged")
