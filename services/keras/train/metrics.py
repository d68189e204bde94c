"""Quality of a classifier's scores on held-out pictures. Pure."""

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]
Classes = npt.NDArray[np.int64]
_DEFAULT = 0.5
_CANDIDATES = np.arange(100) / 100


def decide(scores: Scores, threshold: float) -> Classes:
    """Return the predicted classes, [N], of scores [N, classes]; `classes` means none: no score above the threshold."""
    count = scores.shape[1]
    return np.asarray(np.where(scores.max(axis=1) > threshold, scores.argmax(axis=1), count), dtype=np.int64)


def confusion(scores: Scores, classes: Classes, threshold: float) -> Classes:
    """Return the confusion table: a row per true class, a column per predicted one; the last column is none."""
    count = scores.shape[1]
    cells = classes * (count + 1) + decide(scores, threshold)
    return np.bincount(cells, minlength=count * (count + 1)).reshape(count, count + 1)


def macro_f1(table: Classes) -> float:
    """Return the unweighted mean of the classes' F1 in a confusion table."""
    correct = table.diagonal()
    both = table.sum(axis=1) + table[:, :-1].sum(axis=0)
    return float(np.mean(2 * correct / np.maximum(both, 1)))


def best_threshold(scores: Scores, classes: Classes) -> float:
    """Return the hundredth with the highest macro F1; of several, the nearest to 0.5."""
    return float(max(_CANDIDATES, key=lambda one: (macro_f1(confusion(scores, classes, one)), -abs(one - _DEFAULT))))
