"""Measure how well the calibration finds log-likelihood ratios that are known, since the scores were made with them.

usage: PYTHONPATH=. python bench/fusion/synthetic.py

Log odds of scores are normally distributed, for people who are in the picture around a mean and for others around its
negative, and some recognizers are silent about most others. Prints a Markdown table: the largest error of the ratio,
relative to its size, of scores between the 5th and the 95th percentile of the right ones, from a ratio of 1 up to the
most that the table allows. Medians of 20 draws.
"""

import math

import numpy as np

from services.gateway.calibrate.logistic import fit
from services.gateway.calibrate.trials import EITHER, Trials
from services.gateway.evaluation.measures import Numbers

_DRAWS = 20
_PRECISION = 1.0
"""Smallest ratio that errors are relative to: an error of nothing has no share."""


def main() -> None:
    """Measure and print."""
    shapes = ((1.0, 1.0, 0.0), (1.5, 1.0, 0.0), (1.5, 1.2, 0.8))
    print("| moments of known people, and of others | " + " | ".join(map(_words, shapes)) + " |")
    print("|---|" + "---|" * len(shapes))
    for count in (100, 300, 1000, 3000, 10_000):
        errors = [np.median([_error(count, *shape, seed) for seed in range(_DRAWS)]) for shape in shapes]
        print(f"| {count} | " + " | ".join(f"{error:.1%}" for error in errors) + " |")


def _words(shape: tuple[float, float, float]) -> str:
    mean, deviation, silence = shape
    return f"±{mean}, deviation {deviation}, silent about {silence:.0%} of others"


def _error(count: int, mean: float, deviation: float, silence: float, seed: int) -> float:
    random = np.random.default_rng(seed)
    known, others = random.normal(mean, deviation, count), random.normal(-mean, deviation, count)
    others[: round(silence * count)] = np.nan
    curve = fit(trials_of(known, others))
    scores = np.quantile(known, np.linspace(0.05, 0.95, 50))
    ratios = 2 * mean / deviation**2 * scores - math.log(1 - silence)
    inside = (ratios > _PRECISION) & (ratios < curve.most)
    found = np.array([curve.ratio(float(share)) for share in _scores(scores)])
    return float(np.max(np.abs(found - ratios)[inside] / ratios[inside]))


def trials_of(known: Numbers, others: Numbers) -> Trials:
    """Return trials of log odds, each of a moment of its own; NaN is silence."""
    odds = np.concatenate([known, others])
    return Trials(
        scores=_scores(odds),
        targets=np.arange(len(odds)) < len(known),
        weights=np.ones(len(odds)),
        kinds=np.full(len(odds), EITHER),
        answers=np.arange(len(odds)),
    )


def _scores(odds: Numbers) -> Numbers:
    return np.asarray(1 / (1 + np.exp(-odds)))


if __name__ == "__main__":
    main()
