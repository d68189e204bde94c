"""What a fitted classifier says of each person, by one matrix where that is exact."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC, LinearSVC

from services.svm.calibration import by_person

Numbers = npt.NDArray[np.float64]
Decide = Callable[[Numbers], Numbers]


def decide_with(pipeline: Pipeline) -> Decide:
    """A function from features [n, length] to decisions [n, people], higher for a likelier person.

    A linear scaler and classifier become one matrix; anything else is asked as it is.
    """
    scaler, classifier = pipeline.steps[0][1], pipeline.steps[1][1]
    linear = _linear(classifier)
    if linear is None or type(scaler) not in (MinMaxScaler, StandardScaler):
        return lambda features: plain_decisions(pipeline, features)
    coefficients, intercepts = linear
    scale, shift = _affine(scaler)
    matrix, offset = (coefficients * scale).T, coefficients @ shift + intercepts
    if isinstance(classifier, SVC) and len(classifier.classes_) > 2:  # noqa: PLR2004 - two need no votes
        return lambda features: _votes(features @ matrix + offset, len(classifier.classes_))
    return lambda features: _columns(features @ matrix + offset)


def plain_decisions(pipeline: Pipeline, features: Numbers) -> Numbers:
    """The pipeline's own decisions, or a forest's probabilities."""
    if hasattr(pipeline, "decision_function"):
        return by_person(pipeline.decision_function(features))
    return np.asarray(pipeline.predict_proba(features))


def _linear(classifier: Any) -> tuple[Numbers, Numbers] | None:
    """Coefficients [rows, length] and intercepts [rows], where the classifier is linear."""
    if isinstance(classifier, OneVsRestClassifier):
        parts = classifier.estimators_
        return np.vstack([part.coef_ for part in parts]), np.concatenate([part.intercept_ for part in parts])
    if isinstance(classifier, LinearSVC) or (isinstance(classifier, SVC) and classifier.kernel == "linear"):
        return np.asarray(classifier.coef_), np.asarray(classifier.intercept_)
    return None


def _affine(scaler: Any) -> tuple[Numbers, Numbers]:
    """Scale and shift, so that the scaled features are features * scale + shift."""
    if isinstance(scaler, MinMaxScaler):
        return np.asarray(scaler.scale_), np.asarray(scaler.min_)
    return 1 / scaler.scale_, -scaler.mean_ / scaler.scale_


def _columns(decisions: Numbers) -> Numbers:
    return by_person(decisions[:, 0]) if decisions.shape[1] == 1 else decisions


def _votes(pairs: Numbers, people: int) -> Numbers:
    """From an SVC's decisions between every two people to one for each: votes, and by how much they were won."""
    votes, sums = np.zeros((2, len(pairs), people))
    first, second = np.triu_indices(people, 1)
    for column, (one, other) in enumerate(zip(first, second, strict=True)):
        decision = pairs[:, column]
        votes[:, one] += decision >= 0
        votes[:, other] += decision < 0
        sums[:, one] += decision
        sums[:, other] -= decision
    return np.asarray(votes + sums / (3 * (np.abs(sums) + 1)))
