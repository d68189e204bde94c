"""Scores and the threshold."""

import numpy as np
import numpy.typing as npt
import pytest

from services.svm.calibration import Numbers, by_person, calibrate

Columns = npt.NDArray[np.int64]


@pytest.fixture
def overlapping() -> tuple[Numbers, Columns]:
    """Decisions of 400 faces of two people, whose distributions overlap."""
    random = np.random.default_rng(3)
    people = np.repeat([0, 1], 200)
    return by_person(random.normal(np.where(people == 1, 1, -1), 1)), people


def test_scores_are_how_often_the_name_is_right(overlapping: tuple[Numbers, Columns]) -> None:
    """Of the faces that score about 0.8 for a person, about 80 % are that person."""
    decisions, people = overlapping
    scores = calibrate(decisions, people, keep=0.95).scores(decisions)
    about = (scores > 0.7) & (scores < 0.9)
    right = np.eye(2, dtype=bool)[people]
    assert right[about].mean() == pytest.approx(0.8, abs=0.08)


def test_threshold_keeps_the_asked_share_of_rightly_named_faces(overlapping: tuple[Numbers, Columns]) -> None:
    """With keep=0.9 one in ten rightly named faces is below the threshold; with 1 none is."""
    decisions, people = overlapping
    right = decisions.argmax(axis=1) == people
    for keep in (0.9, 1):
        calibration = calibrate(decisions, people, keep)
        best = calibration.scores(decisions[right]).max(axis=1)
        assert (best >= calibration.threshold).mean() == pytest.approx(keep, abs=0.01)


def test_a_model_that_names_nobody_rightly_accepts_nobody() -> None:
    """Without one rightly named face the threshold is 1."""
    assert calibrate(np.array([[2.0, 1], [1, 2]]), np.array([1, 0]), keep=0.95).threshold == 1


def test_two_people_share_one_decision() -> None:
    """scikit-learn's single column speaks for the second person and against the first."""
    assert by_person(np.array([0.5, -2])).tolist() == [[-0.5, 0.5], [2, -2]]
    assert by_person(np.zeros((4, 3))).shape == (4, 3)


def test_far_decisions_do_not_overflow(overlapping: tuple[Numbers, Columns]) -> None:
    """A decision of any size is a score of 0 to 1."""
    calibration = calibrate(*overlapping, keep=0.95)
    assert calibration.scores(np.array([-1e9, 1e9])) == pytest.approx([0, 1])
