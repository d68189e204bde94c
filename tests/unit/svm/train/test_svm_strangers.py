"""Open-set measures."""

import numpy as np
import pytest

from services.svm.gallery.people import Person
from services.svm.model import Calibration, Sigmoid
from services.svm.train.calibration import STRANGER, Trial
from services.svm.train.dataset import TrainingSet
from services.svm.train.strangers import GALLERIES, identifications

_ANY = Calibration(Sigmoid(1.0, 0.0, 0.0), 1.0)


def people_of(count: int, within: float = 0.03, moments: int = 6, copies: int = 1) -> TrainingSet:
    """Return embeddings of people whose means spread by 0.06 in each direction, and whose faces do by `within`."""
    random = np.random.default_rng(0)
    means = random.normal(0, 0.06, (count, 1, 128))
    features = (means + random.normal(0, within, (count, moments, 128))).reshape(-1, 1, 128)
    return TrainingSet(
        recipe="embedding",
        features=np.repeat(features, copies, axis=0),
        owners=np.repeat(np.arange(count), moments * copies),
        groups=np.repeat(np.arange(count * moments), copies),
        people=tuple(Person(f"p{number}", f"P{number}") for number in range(count)),
    )


def test_galleries_have_real_people_first() -> None:
    """Of 30 people 29 are in the largest real gallery; synthetic ones fill up galleries of 100 and 1,000."""
    measured = identifications(people_of(30), [], _ANY)
    assert [(one.real, one.synthetic) for one in measured] == [(29, 0), (0, 29), (10, 0), (29, 71), (29, 971)]
    assert [one.gallery for one in measured[2:]] == list(GALLERIES)


def test_near_duplicates_are_one_search() -> None:
    """FPIR is one in as many as there are moments, however many copies each has, and all else is the same."""
    assert identifications(people_of(8), [], _ANY) == identifications(people_of(8, copies=3), [], _ANY)
    assert identifications(people_of(8), [], _ANY)[0].fpir == pytest.approx(1 / 48)


@pytest.mark.parametrize("count", [6, 40])
def test_synthetic_people_stand_in_for_real_ones(count: int) -> None:
    """Strangers come as near to as many synthetic people as to the real ones, within a tenth."""
    real, synthetic, *_ = identifications(people_of(count), [], _ANY)
    assert synthetic.threshold == pytest.approx(real.threshold, rel=0.1)


def test_larger_galleries_miss_more() -> None:
    """If people are hard to tell apart, FNIR grows with the gallery, and its interval is around it."""
    measured = identifications(people_of(12, within=0.12), [], _ANY)[2:]
    rates = [one.fnir for one in measured]
    assert rates == sorted(rates)
    assert 0 < rates[0] < rates[-1]
    assert all(one.low <= one.fnir <= one.high for one in measured)
    assert measured[0].high - measured[0].low > 0.02


def test_two_people_suffice() -> None:
    """With two people who have two moments each, everything is measured, if badly."""
    measured = identifications(people_of(2, moments=2), [], _ANY)
    assert all(0 <= one.low <= one.fnir <= one.high <= 1 for one in measured)


def test_scores_are_measured_where_decisions_are_compared() -> None:
    """One of ten strangers is named from the threshold on, and the known faces up to it are missed."""
    people = people_of(2, moments=10)
    faces = TrainingSet("hog-lbp", people.features, people.owners, people.groups, people.people)
    strange = Trial(
        decisions=np.column_stack(
            [np.concatenate([np.linspace(-1, 0.8, 10), np.linspace(0, 1.8, 10)]), np.full(20, -9)]
        ),
        distances=np.zeros((20, 2)),
        owners=np.repeat([STRANGER, 0], 10),
        faces=np.arange(20),
    )
    (measured,) = identifications(faces, [strange], _ANY)
    assert (measured.real, measured.synthetic, measured.searches) == (1, 0, 10)
    assert measured.threshold == pytest.approx(1 / (1 + np.exp(-0.6)))
    assert measured.fnir == pytest.approx(0.4)
