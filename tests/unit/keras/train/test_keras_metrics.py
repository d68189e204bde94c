"""Tests of the metrics of scores on held-out pictures."""

import numpy as np
import pytest

from services.keras.train.metrics import best_threshold, confusion, decide, macro_f1

CLASSES = np.array([0, 0, 0, 1, 1])


def _scores(of_first: list[float]) -> np.ndarray:
    first = np.array(of_first, np.float32)
    return np.stack([first, 1 - first], axis=1)


def test_score_at_the_threshold_does_not_count() -> None:
    """A score counts only above the threshold, as in the recognizer; the last class means none."""
    assert decide(_scores([0.9, 0.5, 0.25]), 0.5).tolist() == [0, 2, 1]


def test_confusion() -> None:
    """The table has a row per class and a column per predicted class, with the last column for none."""
    table = confusion(_scores([0.9, 0.4, 0.55, 0.2, 0.7]), CLASSES, 0.58)
    assert table.tolist() == [[1, 1, 1], [1, 1, 0]]


def test_macro_f1() -> None:
    """The result is the mean over classes of 2·correct / (true + predicted): 2·1/(3+2) and 2·1/(2+2)."""
    assert macro_f1(np.array([[1, 1, 1], [1, 1, 0]])) == pytest.approx((2 / 5 + 2 / 4) / 2)


def test_threshold_rejects_mistakes() -> None:
    """If the uncertain predictions are the wrong ones, the threshold lies between them and the certain ones."""
    scores = _scores([0.95, 0.9, 0.3, 0.1, 0.35])
    threshold = best_threshold(scores, np.array([0, 0, 0, 1, 0]))
    assert 0.7 <= threshold < 0.9


def test_tied_threshold_is_nearest_to_a_half() -> None:
    """Of equally good thresholds, the one nearest to a half is chosen."""
    assert best_threshold(_scores([0.99, 0.98, 0.97, 0.01, 0.02]), CLASSES) == 0.5
    assert best_threshold(_scores([0.42, 0.99, 0.97, 0.01, 0.02]), CLASSES) == 0.59
