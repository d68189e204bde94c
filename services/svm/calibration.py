"""From decisions and distances to scores of 0 to 1, and the distance beyond which a face is nobody's."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

Numbers = npt.NDArray[np.float64]
STRANGER = -1


@dataclass(frozen=True)
class Sigmoid:
    """1 / (1 + exp(-(decision * d + distance * x + intercept)))."""

    decision: float
    distance: float
    intercept: float

    def scores(self, decisions: Numbers, distances: Numbers) -> Numbers:
        """The scores, of the arrays' common shape."""
        # 10 is as far as the scores of some hundred faces can be trusted, and an infinite distance stays one.
        sums = self.decision * decisions + self.distance * np.minimum(distances, 1e6) + self.intercept
        return np.asarray(1 / (1 + np.exp(-np.clip(sums, -10, 10))))


@dataclass(frozen=True)
class Calibration:
    """How sure a name is. Scores mean the same in every recipe: how often a name with this score is right."""

    sigmoid: Sigmoid
    threshold: float
    """A face farther from everybody is nobody's."""

    def scores(self, decisions: Numbers, distances: Numbers) -> Numbers:
        """Of decisions and distances [faces, people]."""
        return self.sigmoid.scores(decisions, distances)


@dataclass(frozen=True)
class Unseen:
    """What models said of faces that they had not seen: of known people's, and of strangers'."""

    decisions: Numbers
    """[faces, people]"""
    distances: Numbers
    """[faces, people]"""
    owners: npt.NDArray[np.int64]
    """[faces]: the column of the person that each face shows, or STRANGER."""

    @property
    def nearest(self) -> Numbers:
        """[faces]: the distance to the nearest known face."""
        return np.asarray(self.distances.min(axis=1))

    @property
    def strange(self) -> npt.NDArray[np.bool_]:
        """[faces]: which are strangers'."""
        return np.asarray(self.owners == STRANGER)


def calibrate(known: Unseen, trials: list[Unseen], false_accepts: float | None) -> Calibration:
    """Fits the scores on all faces, and the threshold.

    `known` shows no strangers; in each of `trials` some faces are STRANGER's. `false_accepts` is the
    share of those that may pass; None: as many as pass where 19 of 20 known faces do.
    """
    everyone = [known, *trials]
    decisions = _joined(one.decisions for one in everyone)
    distances = _joined(one.distances for one in everyone)
    own = _joined(one.owners[:, np.newaxis] == np.arange(one.distances.shape[1]) for one in everyone) > 0
    sigmoid = Sigmoid(*_sigmoid([decisions, distances], own))
    if sigmoid.distance > 0:  # where distances tell nothing they must not make a far face a likely one
        slope, intercept = _sigmoid([decisions], own)
        sigmoid = Sigmoid(slope, 0.0, intercept)
    return Calibration(sigmoid, _threshold(known, trials, false_accepts))


def by_person(decisions: Numbers) -> Numbers:
    """One column a person. Between two people scikit-learn gives one number: above 0 is the second."""
    return np.column_stack([-decisions, decisions]) if decisions.ndim == 1 else decisions


def _joined(parts: Iterable[npt.NDArray[Any]]) -> Numbers:
    return np.concatenate([part.ravel() for part in parts]).astype(np.float64)


def _threshold(known: Unseen, trials: list[Unseen], false_accepts: float | None) -> float:
    """The distance that so few strangers come below; where known faces need less of it, half-way to theirs."""
    strangers = _joined(one.nearest[one.strange] for one in trials) if trials else np.empty(0)
    if false_accepts is None or not len(strangers):
        return float(np.quantile(known.nearest, 0.95))
    most = float(np.quantile(strangers, false_accepts, method="lower"))
    return min(most, (most + float(np.quantile(known.nearest, 0.99))) / 2)


def _sigmoid(inputs: list[Numbers], own: npt.NDArray[np.bool_]) -> tuple[float, ...]:
    """Platt's fit: targets a little inside 0 and 1, by the weights of a face counted as both."""
    yes, no = int(own.sum()), int((~own).sum())
    share = np.where(own, (yes + 1) / (yes + 2), 1 / (no + 2))
    values = np.column_stack(inputs)
    spread = values.std(axis=0) + 1e-9
    counted, target = np.vstack([values, values]) / spread, np.repeat([1, 0], len(values))
    fit = LogisticRegression(C=1e3).fit(counted, target, sample_weight=np.concatenate([share, 1 - share]))
    return (*(float(weight) for weight in fit.coef_[0] / spread), float(fit.intercept_[0]))
