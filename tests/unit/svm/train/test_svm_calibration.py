"""Calibration of the scores and the threshold."""

import numpy as np
import pytest

from services.svm.model import Sigmoid, by_person
from services.svm.train.calibration import STRANGER, Trial, best_scores, calibrate


@pytest.fixture
def known() -> Trial:
    """Return 400 faces of two people whose decisions and distances overlap."""
    random = np.random.default_rng(3)
    owners = np.repeat([0, 1], 200)
    distances = random.normal(np.where(np.eye(2, dtype=bool)[owners], 0.4, 0.7), 0.1)
    return Trial(by_person(random.normal(np.where(owners == 1, 1, -1), 1)), distances, owners)


@pytest.fixture
def trial() -> Trial:
    """Return the faces of 200 strangers."""
    random = np.random.default_rng(4)
    return Trial(random.normal(0, 1, (200, 2)), random.normal(0.75, 0.05, (200, 2)), np.full(200, STRANGER))


def test_scores_are_probabilities(known: Trial) -> None:
    """About 80 % of the faces that score about 0.8 for a person are that person."""
    scores = calibrate(known, [], None).scores(known.decisions, known.distances)
    about = (scores > 0.7) & (scores < 0.9)
    right = np.eye(2, dtype=bool)[known.owners]
    assert right[about].mean() == pytest.approx(0.8, abs=0.08)


def test_the_given_share_of_strangers_passes(known: Trial, trial: Trial) -> None:
    """The threshold accepts the given share of the strangers and no more."""
    far = Trial(known.decisions, known.distances * 2, known.owners)
    for share in (0.02, 0.2):
        threshold = calibrate(far, [trial], share).threshold
        assert (trial.nearest <= threshold).mean() == pytest.approx(share, abs=0.01)


def test_the_threshold_is_no_looser_than_needed(known: Trial, trial: Trial) -> None:
    """If known faces are near and strangers far, the threshold lies half-way, not at the strangers' edge."""
    near = Trial(known.decisions, known.distances / 4, known.owners)
    threshold = calibrate(near, [trial], 0.01).threshold
    assert np.quantile(near.nearest, 0.99) < threshold < np.quantile(trial.nearest, 0.01) - 0.1


def test_without_a_share_95_percent_are_kept(known: Trial, trial: Trial) -> None:
    """The threshold keeps 95 % of the known faces without a share or without strangers."""
    for calibration in (calibrate(known, [trial], None), calibrate(known, [], 0.01)):
        assert (known.nearest <= calibration.threshold).mean() == pytest.approx(0.95, abs=0.01)


def test_a_far_face_is_never_likelier(known: Trial) -> None:
    """Distances that would raise the score of far faces do not count."""
    odd = Trial(known.decisions, 1 - known.distances, known.owners)
    assert calibrate(odd, [], None).sigmoid.distance <= 0


def test_one_decision_serves_two_people() -> None:
    """scikit-learn's single column for two people counts for the second and against the first."""
    assert by_person(np.array([0.5, -2])).tolist() == [[-0.5, 0.5], [2, -2]]
    assert by_person(np.zeros((4, 3))).shape == (4, 3)


def test_far_decisions_do_not_overflow() -> None:
    """A decision or distance of any size gives a score of 0 to 1."""
    scores = Sigmoid(1, -1, 0).scores(np.array([-1e9, 1e9, 0]), np.array([0, 0, np.inf]))
    assert scores == pytest.approx([0, 1, 0], abs=1e-4)


def test_few_strangers_are_identified(known: Trial, trial: Trial) -> None:
    """No more than 5 % of all strangers reach the score that identifies if no share is given; 0.002 less is too low."""
    near = Trial(trial.decisions, trial.distances - 0.4, trial.owners)
    calibration = calibrate(known, [near], None)
    scores = best_scores(calibration, near)
    assert calibration.identify_score > 0.5
    assert (scores >= calibration.identify_score).mean() <= 0.05 < (scores >= calibration.identify_score - 0.002).mean()


def test_a_name_that_is_likelier_wrong_identifies_nobody(known: Trial, trial: Trial) -> None:
    """The score that identifies is 0.5 where no stranger comes near it, or none was held out."""
    far = Trial(trial.decisions - 9, trial.distances + 9, trial.owners)
    assert calibrate(known, [far], 0.01).identify_score == calibrate(known, [], 0.01).identify_score == 0.5
