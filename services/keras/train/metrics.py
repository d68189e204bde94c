"""What a classifier's scores on held-out pictures are worth. Pure."""

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]
Classes = npt.NDArray[np.int64]
_USUAL = 0.5
_CANDIDATES = np.arange(100) / 100


def decide(scores: Scores, threshold: float) -> Classes:
    """The classes that are told, [N], from scores [N, classes]; `classes` stands for none: no score above it."""
    count = scores.shape[1]
    return np.asarray(np.where(scores.max(axis=1) > threshold, scores.argmax(axis=1), count), dtype=np.int64)


def confusion(scores: Scores, classes: Classes, threshold: float) -> Classes:
    """How many of each class, a row each, were told to be which; the last column is none."""
    count = scores.shape[1]
    cells = classes * (count + 1) + decide(scores, threshold)
    return np.bincount(cells, minlength=count * (count + 1)).reshape(count, count + 1)


def macro_f1(table: Classes) -> float:
    """The classes' F1, each weighing the same, of a confusion table."""
    right = table.diagonal()
    both = table.sum(axis=1) + table[:, :-1].sum(axis=0)
    return float(np.mean(2 * right / np.maximum(both, 1)))


def best_threshold(scores: Scores, classes: Classes) -> float:
    """The hundredth with the highest macro F1; of several the nearest to 0.5."""
    return float(max(_CANDIDATES, key=lambda one: (macro_f1(confusion(scores, classes, one)), -abs(one - _USUAL))))
