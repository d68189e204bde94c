"""Fitting of the calibration: from decisions and distances to scores of 0 to 1, and the threshold for strangers."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from services.svm.model import Calibration, Sigmoid

Numbers = npt.NDArray[np.float64]
STRANGER = -1
CLOSED_SET_FALSE_ACCEPTS = 0.05
"""Share of strangers that may be identified if no share is given: recipes without one detect strangers poorly."""
_BINS, _FEWEST_IN_A_BIN = 10, 10
_LOWEST_IDENTIFY_SCORE = 0.5
"""A name that is wrong more often than right identifies nobody, whatever the strangers at hand score."""


@dataclass(frozen=True)
class Trial:
    """Decisions and distances of models for faces that they were not trained on, known people's and strangers'."""

    decisions: Numbers
    """[faces, people]"""
    distances: Numbers
    """[faces, people]"""
    owners: npt.NDArray[np.int64]
    """[faces]: the column of the person that each face shows, or STRANGER."""
    faces: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """[faces]: their numbers in the training set."""

    @property
    def nearest(self) -> Numbers:
        """[faces]: the distance to the nearest known face."""
        return np.asarray(self.distances.min(axis=1))

    @property
    def strange(self) -> npt.NDArray[np.bool_]:
        """[faces]: which are strangers'."""
        return np.asarray(self.owners == STRANGER)


def calibrate(known: Trial, trials: list[Trial], false_accepts: float | None) -> Calibration:
    """Fit the scores on all faces, the threshold, and the score that identifies.

    `known` shows no strangers; in each of `trials` some faces are STRANGER's. `false_accepts` is the share of those
    that may pass, and that may be identified; None: as many pass as do when 19 of 20 known faces do, and 5 % of them
    may be identified.
    """
    everyone = [known, *trials]
    decisions = _flat(one.decisions for one in everyone)
    distances = _flat(one.distances for one in everyone)
    own = _flat(one.owners[:, np.newaxis] == np.arange(one.distances.shape[1]) for one in everyone) > 0
    sigmoid = Sigmoid(*_sigmoid([decisions, distances], own))
    if sigmoid.distance > 0:  # distances that tell nothing must not make a far face a likely one
        slope, intercept = _sigmoid([decisions], own)
        sigmoid = Sigmoid(slope, 0.0, intercept)
    calibration = Calibration(sigmoid, _threshold(known, trials, false_accepts))
    share = CLOSED_SET_FALSE_ACCEPTS if false_accepts is None else false_accepts
    return replace(calibration, identify_score=_identify_score(calibration, trials, share))


def best_scores(calibration: Calibration, trial: Trial) -> Numbers:
    """Return [faces]: the score of each face's best candidate; 0 for a face beyond the threshold, which has none."""
    best = calibration.scores(trial.decisions, trial.distances).max(axis=1)
    return np.where(trial.nearest <= calibration.threshold, best, 0.0)


def names(calibration: Calibration, trial: Trial) -> npt.NDArray[np.int64]:
    """Return [faces]: the column of each face's best candidate; one more than there are people for UNKNOWN."""
    best = calibration.scores(trial.decisions, trial.distances).argmax(axis=1)
    return np.asarray(np.where(trial.nearest <= calibration.threshold, best, trial.decisions.shape[1]))


def reliability(calibration: Calibration, known: Trial, trials: list[Trial]) -> Numbers:
    """Return [bins, 3]: mean score, share of right names and number of faces, of ten bins or fewer, lowest score first.

    The faces are those with a candidate, known people's and all strangers', whose names are wrong.
    """
    everybody = _with_strangers(known, trials)
    scores = _flat(best_scores(calibration, one) for one in everybody)
    right = _flat(names(calibration, one) == one.owners for one in everybody)
    order = np.argsort(scores, kind="stable")[int((scores == 0).sum()) :]
    bins = np.array_split(order, max(1, min(_BINS, len(order) // _FEWEST_IN_A_BIN)))
    return np.array([(scores[one].mean(), right[one].mean(), len(one)) for one in bins if len(one)]).reshape(-1, 3)


def _with_strangers(known: Trial, trials: list[Trial]) -> list[Trial]:
    strange = [Trial(one.decisions[one.strange], one.distances[one.strange], one.owners[one.strange]) for one in trials]
    return [known, *strange]


def _flat(parts: Iterable[npt.NDArray[Any]]) -> Numbers:
    return np.concatenate([part.ravel() for part in parts]).astype(np.float64)


def _threshold(known: Trial, trials: list[Trial], false_accepts: float | None) -> float:
    """Return the distance that keeps out enough strangers, reduced halfway to what known faces need if that is less."""
    strangers = _flat(one.nearest[one.strange] for one in trials) if trials else np.empty(0)
    if false_accepts is None or not len(strangers):
        return float(np.quantile(known.nearest, 0.95))
    limit = float(np.quantile(strangers, false_accepts, method="lower"))
    return min(limit, (limit + float(np.quantile(known.nearest, 0.99))) / 2)


def _identify_score(calibration: Calibration, trials: list[Trial], share: float) -> float:
    """Return the lowest score of three decimals, 0.5 or more, that at most this share of the strangers' faces reach.

    The share is of all of them (FPIR), those without a candidate included.
    """
    strangers = np.sort(_flat(best_scores(calibration, one)[one.strange] for one in trials) if trials else np.empty(0))
    refused = strangers[: len(strangers) - int(share * len(strangers))]
    highest = float(refused[-1]) if len(refused) else 0.0
    return max(_LOWEST_IDENTIFY_SCORE, (math.floor(highest * 1000) + 1) / 1000)


def _sigmoid(inputs: list[Numbers], own: npt.NDArray[np.bool_]) -> tuple[float, ...]:
    """Fit by Platt's method: targets lie a little inside 0 and 1, since each face counts as both, with two weights."""
    yes, no = int(own.sum()), int((~own).sum())
    share = np.where(own, (yes + 1) / (yes + 2), 1 / (no + 2))
    values = np.column_stack(inputs)
    spread = values.std(axis=0) + 1e-9
    scaled, target = np.vstack([values, values]) / spread, np.repeat([1, 0], len(values))
    fit = LogisticRegression(C=1e3).fit(scaled, target, sample_weight=np.concatenate([share, 1 - share]))
    return (*(float(weight) for weight in fit.coef_[0] / spread), float(fit.intercept_[0]))
