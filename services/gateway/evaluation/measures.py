"""Measures of recognition: Cllr, reliability, and misses at a rate of false names. Pure; needs NumPy.

The terms are those of ISO/IEC 19795-1 and NIST's 1:N tests: FPIR is the share of strangers who get anybody's name, FNIR
the share of known people who do not get their own, at one threshold. Pictures have weights, so that near-duplicates
count once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
_REPLICATES = 1000
_BINS = 10
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Decisions:
    """Who gets a name, at each of some thresholds."""

    thresholds: Numbers
    """[thresholds], rising."""
    named: Flags
    """[thresholds, pictures]: those that get a name."""
    right: Flags
    """[thresholds, pictures]: those that get their own."""

    @classmethod
    def by_score(cls, scores: Numbers, right: Flags) -> "Decisions":
        """Return the decisions of naming what scores above a threshold; a score of 0 is never named."""
        thresholds = np.unique(np.append(scores, 0.0))
        named = scores[np.newaxis] > thresholds[:, np.newaxis]
        return cls(thresholds, named, named & right)


@dataclass(frozen=True)
class Misses:
    """Misses at the finest rate of false names that the strangers support: one of them is named."""

    fnir: float
    strangers: float
    """Number of strangers' moments, n; FPIR is 1/n."""
    threshold: float


def misses(decisions: Decisions, strange: Flags, weights: Numbers, named: float = 1) -> Misses:
    """Return the fewest misses at any threshold at which no more than so many strangers are named; all at none."""
    known = weights[~strange]
    shares = 1 - decisions.right[:, ~strange] @ known / known.sum()
    shares[decisions.named[:, strange] @ weights[strange] > named + _ROUNDING] = 1.0
    point = int(np.argmin(shares))
    return Misses(float(shares[point]), float(weights[strange].sum()), float(decisions.thresholds[point]))


def fnirs(decisions: Decisions, strange: Flags, samples: Numbers, named: float = 1) -> Numbers:
    """Return [samples]: FNIR in each of the bootstrap samples, as `misses` has it."""
    right = decisions.right[:, ~strange].astype(float) @ samples[:, ~strange].T
    false_names = decisions.named[:, strange].astype(float) @ samples[:, strange].T
    totals = np.maximum(samples[:, ~strange].sum(axis=1), _ROUNDING)
    return np.asarray(1 - np.where(false_names > named + _ROUNDING, 0.0, right).max(axis=0) / totals)


def replicates(groups: Sequence[str], weights: Numbers, seed: int = 0) -> Numbers:
    """Return [samples, pictures]: the weights in bootstrap samples, which draw groups, all pictures of one together."""
    numbers = np.unique(np.array(groups), return_inverse=True)[1]
    count = int(numbers.max()) + 1
    random = np.random.default_rng(seed)
    drawn = [np.bincount(random.integers(0, count, count), minlength=count) for _ in range(_REPLICATES)]
    return np.asarray(weights * np.array(drawn)[:, numbers])


def interval(values: Numbers) -> tuple[float, float]:
    """Return the middle 95 %."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def cllr(ratios: Numbers, right: Flags, weights: Numbers) -> float:
    """Return the cost of log-likelihood ratios: 0 is perfect, 1 is what saying nothing costs.

    Both kinds of trials weigh the same. Source: Brümmer and du Preez, 2006. NaN without trials of both kinds.
    """
    if right.all() or not right.any():
        return float("nan")
    costs = np.logaddexp(0, np.where(right, -ratios, ratios)) / np.log(2)
    return float(np.mean([np.average(costs[own], weights=weights[own]) for own in (right, ~right)]))


def reliability(probabilities: Numbers, right: Flags, weights: Numbers) -> list[tuple[float, float, float]]:
    """Return mean probability, share that was right and weight of up to ten parts of equal weight, lowest first."""
    order = np.argsort(probabilities, kind="stable")
    ends = np.cumsum(weights[order])
    parts = np.minimum((ends - _ROUNDING) / ends[-1] * _BINS, _BINS - 1).astype(int) if len(order) else order
    rows = []
    for part in np.unique(parts):
        own = order[parts == part]
        share = float(np.average(right[own], weights=weights[own]))
        rows.append((float(np.average(probabilities[own], weights=weights[own])), share, float(weights[own].sum())))
    return rows
