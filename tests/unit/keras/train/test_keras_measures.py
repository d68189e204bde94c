"""What scores on held-out pictures are worth."""

import numpy as np
import pytest

from services.keras.train.metrics import best_threshold, confusion, decide, macro_f1

CLASSES = np.array([0, 0, 0, 1, 1])


def _scores(of_first: list[float]) -> np.ndarray:
    first = np.array(of_first, np.float32)
    return np.stack([first, 1 - first], axis=1)


def test_nothing_is_told_at_the_threshold() -> None:
    """A score counts above the threshold, as the recognizer has it; what is not told comes last."""
    assert decide(_scores([0.9, 0.5, 0.25]), 0.5).tolist() == [0, 2, 1]


def test_confusion() -> None:
    """A row a class, a column for each that was told, the last for none."""
    table = confusion(_scores([0.9, 0.4, 0.55, 0.2, 0.7]), CLASSES, 0.58)
    assert table.tolist() == [[1, 1, 1], [1, 1, 0]]


def test_macro_f1() -> None:
    """The mean over classes of 2·right / (are + told): 2·1/(3+2) and 2·1/(2+2)."""
    assert macro_f1(np.array([[1, 1, 1], [1, 1, 0]])) == pytest.approx((2 / 5 + 2 / 4) / 2)


def test_threshold_turns_mistakes_away() -> None:
    """Where the mistakes are the unsure ones, the threshold lies between them and the sure ones."""
    scores = _scores([0.95, 0.9, 0.3, 0.1, 0.35])
    threshold = best_threshold(scores, np.array([0, 0, 0, 1, 0]))
    assert 0.7 <= threshold < 0.9


def test_threshold_of_equals_is_the_usual() -> None:
    """Where many are as good, it is the one nearest to a half."""
    assert best_threshold(_scores([0.99, 0.98, 0.97, 0.01, 0.02]), CLASSES) == 0.5
    assert best_threshold(_scores([0.42, 0.99, 0.97, 0.01, 0.02]), CLASSES) == 0.59
