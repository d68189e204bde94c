"""The decisions of every kind of classifier that the trainer fits."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC, LinearSVC

from services.svm.model import by_person, decisions_of


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
def test_decisions_equal_scikit_learns(people: int, scaler: type, classifier: object) -> None:
    """Every classifier's decision about each person equals scikit-learn's, votes included."""
    random = np.random.default_rng(people)
    owners = np.repeat(np.arange(people), 12)
    features = random.normal(0, 40, (len(owners), 30)) + owners[:, np.newaxis] * random.normal(0, 9, 30)
    pipeline = Pipeline([("scaler", scaler()), ("classifier", classifier)]).fit(features, owners)
    faces = random.normal(0, 60, (50, 30))
    decisions = decisions_of(pipeline, faces)
    method = "decision_function" if hasattr(pipeline, "decision_function") else "predict_proba"
    assert decisions.shape == (50, people)
    assert decisions == pytest.approx(by_person(getattr(pipeline, method)(faces)), abs=1e-9)
