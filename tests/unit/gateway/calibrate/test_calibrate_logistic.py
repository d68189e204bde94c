"""Curves fitted on trials."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.calibrate.logistic import fit
from services.gateway.calibrate.trials import EITHER, Trials

SCORES = st.lists(st.floats(0, 1) | st.just(math.nan), min_size=2, max_size=12)


@given(SCORES, SCORES, st.floats(0, 1), st.floats(0, 1))
def test_evidence_is_bounded_and_rises_with_the_score(
    known: list[float], others: list[float], one: float, other: float
) -> None:
    """Whatever the trials, ratios rise with scores from 0 to the logarithm of others' moments and one."""
    curve = fit(_trials(known, others))
    low, high = sorted((one, other))
    assert 0 <= curve.ratio(low) <= curve.ratio(high) <= math.log1p(len(others)) + 1e-9


@given(SCORES, SCORES, st.randoms())
def test_the_order_of_trials_does_not_matter(known: list[float], others: list[float], chance: object) -> None:
    """Shuffled trials give the same curve."""
    curve = fit(_trials(known, others))
    for scores in (known, others):
        chance.shuffle(scores)  # type: ignore[attr-defined]
    assert fit(_trials(known, others)).ratio(0.9) == pytest.approx(curve.ratio(0.9), abs=1e-6)


def test_known_ratios_are_recovered() -> None:
    """Scores whose log odds are normal around -1.5 and 1.5 get the ratio of the densities, within 10 %."""
    chance = np.random.default_rng(3)
    curve = fit(_trials(_scores(chance.normal(1.5, 1, 3000)), _scores(chance.normal(-1.5, 1, 3000))))
    for odds in (0.5, 1.0, 2.0):
        assert curve.ratio(_scores([odds])[0]) == pytest.approx(3 * odds, rel=0.1)


def test_silence_about_strangers_makes_a_name_worth_more() -> None:
    """A recognizer that names one stranger of ten says ten times as much as one that names all."""
    chance = np.random.default_rng(4)
    known, others = chance.uniform(0.5, 0.9, 2000).tolist(), chance.uniform(0.5, 0.9, 2000).tolist()
    silent = [math.nan] * 1800 + others[1800:]
    worth = fit(_trials(known, silent)).ratio(0.7) - fit(_trials(known, others)).ratio(0.7)
    assert worth == pytest.approx(math.log(10), rel=0.1)


def test_near_duplicates_support_no_more_than_one() -> None:
    """Ten trials of a tenth of a weight bound the ratio as one trial does."""
    trials = _trials([0.9] * 10, [math.nan] * 10)
    light = Trials(trials.scores, trials.targets, trials.weights / 10, trials.kinds, trials.answers)
    assert fit(light).most == pytest.approx(math.log(2))


def test_strangers_who_nearly_all_score_0_have_a_curve() -> None:
    """A recognizer that has a candidate for everybody, mostly with 0, is worth something where it scores more."""
    curve = fit(_trials([0.6] * 3 + [math.nan] * 97, [0.0] * 295 + [0.1] * 5))
    assert curve.ratio(0.1) == 0
    assert curve.ratio(0.6) == pytest.approx(1.4, abs=0.1)


def test_a_recognizer_that_names_nobody_rightly_says_nothing() -> None:
    """Without a right name there is nothing to learn, and scores are worth nothing."""
    assert fit(_trials([math.nan] * 5, [0.9] * 5)).ratio(0.99) == 0


def _trials(known: list[float], others: list[float]) -> Trials:
    scores = np.array([*known, *others])
    return Trials(
        scores=scores,
        targets=np.arange(len(scores)) < len(known),
        weights=np.ones(len(scores)),
        kinds=np.full(len(scores), EITHER),
        answers=np.arange(len(scores)),
    )


def _scores(odds: object) -> list[float]:
    return (1 / (1 + np.exp(-np.asarray(odds)))).tolist()
