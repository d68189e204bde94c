"""Logistic calibration: from scores to log-likelihood ratios. Pure; needs NumPy.

A line over the scores' log odds is fitted: the logarithm of how much likelier a name with that score is for a person
who is in the picture than for one who is not. Silence is part of it: a recognizer that is silent about nine strangers
of ten says ten times as much with a name. Known people and others weigh the same, however many there are.

What few trials cannot tell is not told: the slope is drawn towards 0, and one wrong name more than was seen is assumed.
For the same reason no ratio is greater than others' moments and one, as where to stop extrapolating is found by Vergeer
et al. (Science and Justice 56, 2016), who add one misleading trial, too.
"""

import math

import numpy as np

from services.gateway.calibrate.trials import Trials
from services.gateway.evaluation.measures import Flags, Numbers
from services.gateway.fusion.calibration import Curve, log_odds

_STEPS = 50
_PRECISION = 1e-9
_NOTHING = Curve(slope=0, intercept=0, most=0)


def fit(trials: Trials) -> Curve:
    """Return the curve of the trials; one that says nothing if no known person was ever named."""
    named, targets = trials.named, trials.targets
    if not (named & targets).any() or targets.all():
        return _NOTHING
    odds = np.array([log_odds(score) for score in trials.scores[named]])
    middle = float(np.average(odds, weights=trials.weights[named]))
    known, others = float(trials.weights[targets].sum()), float(trials.weights[~targets].sum())
    totals, strength = np.where(targets, known, others) + 1, min(known, others)
    odds = np.append(odds, [middle, middle])
    right = np.append(targets[named], [True, False])
    weights = np.append((trials.weights / totals)[named], [1 / (known + 1), 1 / (others + 1)]) * strength
    slope, intercept = _line(odds - middle, right, weights)
    return Curve(slope=slope, intercept=intercept - slope * middle, most=math.log1p(others))


def _line(odds: Numbers, right: Flags, weights: Numbers) -> tuple[float, float]:
    """Return slope and intercept by Newton's method; the slope has a normal prior around 0 with deviation 1."""
    rows, signs = np.stack([odds, np.ones_like(odds)]), np.where(right, 1, -1)
    penalty = np.diag([1.0, 0.0])

    def cost(line: Numbers) -> float:
        return float(weights @ np.logaddexp(0, -signs * (line @ rows)) + line @ penalty @ line / 2)

    line = np.array([0.0, math.log(weights[right].sum() / weights[~right].sum())])
    flat = float(line[1])
    for _ in range(_STEPS):
        shares = np.exp(-np.logaddexp(0, -(line @ rows)))
        gradient = rows @ (weights * (shares - right)) + penalty @ line
        curvature = (rows * (weights * shares * (1 - shares))) @ rows.T + penalty
        step = np.linalg.solve(curvature, gradient)
        while cost(line - step) > cost(line):  # where most scores are near 0 or 1, whole steps go ever further astray
            step /= 2
        line = line - step
        if np.abs(step).max() < _PRECISION:
            break
    return (float(line[0]), float(line[1])) if line[0] > 0 else (0.0, flat)
