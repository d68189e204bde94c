"""Measures of recognition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.evaluation.measures import Decisions, cllr, fnirs, interval, misses, reliability, replicates

ONES = np.ones(4)
RATIOS = st.lists(st.floats(0, 20), min_size=4, max_size=4)


def test_saying_nothing_costs_one() -> None:
    """Cllr of ratios that are all 0 is 1."""
    assert cllr(np.zeros(4), np.array([True, True, False, False]), ONES) == pytest.approx(1)


def test_certainty_that_is_right_costs_nothing() -> None:
    """Cllr falls to 0 for ratios that are far on the right side."""
    right = np.array([True, True, False, False])
    assert cllr(np.where(right, 30.0, -30.0), right, ONES) == pytest.approx(0, abs=1e-9)


@given(RATIOS, st.permutations(range(4)))
def test_the_order_of_trials_does_not_matter(ratios: list[float], order: list[int]) -> None:
    """Cllr is the same in every order."""
    values, right = np.array(ratios), np.array([True, False, True, False])
    assert cllr(values[order], right[order], ONES) == pytest.approx(cllr(values, right, ONES))


def test_misses_are_counted_where_one_stranger_is_named() -> None:
    """The threshold is the lowest at which a single stranger is named; known people below it are missed."""
    scores = np.array([0.95, 0.7, 0.4, 0.9, 0.6, 0.5])
    strange = np.array([False, False, False, True, True, True])
    measured = misses(Decisions.by_score(scores, ~strange), strange, np.ones(6))
    assert (measured.threshold, measured.strangers) == (0.6, 3)
    assert measured.fnir == pytest.approx(1 / 3)


def test_near_duplicates_count_as_one() -> None:
    """Two pictures of one moment, with half a weight each, are one stranger."""
    scores, strange = np.array([0.8, 0.9, 0.9]), np.array([False, True, True])
    assert misses(Decisions.by_score(scores, ~strange), strange, np.array([1, 0.5, 0.5])).fnir == 0


def test_a_silent_recognizer_misses_everybody() -> None:
    """A score of 0 is no name."""
    strange = np.array([False, True])
    assert misses(Decisions.by_score(np.zeros(2), ~strange), strange, np.ones(2)).fnir == 1


def test_a_group_is_drawn_whole() -> None:
    """A bootstrap sample has all pictures of a group equally often."""
    for sample in replicates(["a", "a", "b"], np.ones(3)):
        assert sample[0] == sample[1]
        assert sample[0] + sample[2] == 2


def test_the_interval_is_the_middle_95_percent() -> None:
    """A fortieth of the values lies on either side."""
    assert interval(np.arange(1001.0)) == (25, 975)


def test_a_sample_of_everything_misses_as_many() -> None:
    """FNIR in a bootstrap sample is what it is of the pictures with the sample's weights."""
    chance = np.random.default_rng(5)
    scores, strange = chance.random(30), np.arange(30) < 10
    decisions = Decisions.by_score(scores, ~strange & (chance.random(30) < 0.9))
    samples = replicates([str(number // 2) for number in range(30)], np.ones(30))
    expected = [misses(decisions, strange, sample).fnir for sample in samples[:50]]
    assert fnirs(decisions, strange, samples[:50]) == pytest.approx(np.array(expected))


def test_reliability_has_ten_parts_of_equal_weight() -> None:
    """Names are sorted by probability into ten parts; each has its mean and the share that was right."""
    probabilities = np.linspace(0.01, 0.99, 100)
    rows = reliability(probabilities, probabilities > 0.5, np.ones(100))
    assert [weight for _, _, weight in rows] == [10.0] * 10
    assert [right for _, right, _ in rows] == [0.0] * 5 + [1.0] * 5
    assert rows[0][0] < rows[-1][0]
