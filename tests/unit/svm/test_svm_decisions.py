"""Scaler and classifier in one."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC, LinearSVC

from services.svm.decisions import decide_with, plain_decisions


@pytest.mark.parametrize("people", [2, 3, 6])
@pytest.mark.parametrize("scaler", [MinMaxScaler, StandardScaler])
@pytest.mark.parametrize(
    "classifier",
    [
        SVC(kernel="linear"),
        SVC(kernel="rbf"),
        LinearSVC(),
        OneVsRestClassifier(LogisticRegression(solver="liblinear")),
        RandomForestClassifier(5, random_state=0),
    ],
    ids=["svc", "rbf", "linear-svc", "regression", "forest"],
)
def test_one_matrix_decides_as_scaler_and_classifier(people: int, scaler: type, classifier: object) -> None:
    """Folded or not, every classifier decides as scikit-learn does, votes included."""
    random = np.random.default_rng(people)
    owners = np.repeat(np.arange(people), 12)
    features = random.normal(0, 40, (len(owners), 30)) + owners[:, np.newaxis] * random.normal(0, 9, 30)
    pipeline = Pipeline([("scaler", scaler()), ("classifier", classifier)]).fit(features, owners)
    asked = random.normal(0, 60, (50, 30))
    decided = decide_with(pipeline)(asked)
    assert decided.shape == (50, people)
    assert decided == pytest.approx(plain_decisions(pipeline, asked), abs=1e-9)
