"""Bands: how near faces have to be, measured on faces whose people are known."""

import numpy as np
import pytest

from bench.library.synthetic import Crowd, equal_error_rate, sample_distances
from services.library.grouping import bands
from services.library.grouping.bands import Bands, Space
from services.library.grouping.measuring import of_faces


@pytest.mark.parametrize("rate", [0.01, 0.03])
def test_synthetic_faces_are_as_hard_to_tell_apart_as_asked(rate: float) -> None:
    """Pairs of one person and of two are told apart with the equal error rate that was asked for."""
    assert equal_error_rate(*sample_distances(Crowd(10, rate).noise)) == pytest.approx(rate, rel=0.02)


def test_synthetic_faces_are_the_same_for_the_same_seed() -> None:
    """The same crowd has the same faces, however many are asked for, and another seed has others."""
    few, many = (Crowd(50, 0.01).faces(count) for count in (100, 15_000))
    assert np.array_equal(few.vectors, many.vectors[:100])
    assert np.array_equal(few.people, many.people[:100])
    assert not np.array_equal(few.people, Crowd(50, 0.01, seed=1).faces(100).people)


def test_nobody_is_in_a_synthetic_picture_twice() -> None:
    """The faces of a picture are those of different people."""
    faces = Crowd(20, 0.01).faces(5000)
    pairs = set(zip(faces.pictures.tolist(), faces.people.tolist(), strict=True))
    assert len(pairs) == len(faces.people)


def test_measured_bands_keep_strangers_out() -> None:
    """Of pairs of other people than those that were measured on, next to none are within the assign band."""
    known, others = Crowd(200, 0.03, seed=1).faces(2000), Crowd(400, 0.03).faces(2500)
    found = of_faces(known.people, known.vectors)
    assert found is not None
    products = others.vectors @ others.vectors.T
    different = others.people[:, np.newaxis] != others.people
    distances = np.sqrt(np.maximum(2 - 2 * products[different], 0))
    assert np.mean(distances <= found.assign) < 3e-6
    assert np.mean(distances <= found.suggest) < 3e-3


def test_few_people_measure_nothing() -> None:
    """Where too few people or pairs are known, no band follows."""
    few = Crowd(5, 0.01).faces(500)
    assert of_faces(few.people, few.vectors) is None
    assert bands.measured(np.ones(bands.LEAST_PAIRS - 1), bands.LEAST_PEOPLE) is None


def test_distances_of_a_metric_are_euclidean_within() -> None:
    """The cosine distance of vectors of length 1 is half of the square of their Euclidean one."""
    space = Space(1, "net", "1", "cosine", Bands(0.5, 0.7), "default")
    assert space.euclidean(space.own(0.5)) == pytest.approx(0.5)
    assert space.own(np.sqrt(2)) == pytest.approx(1)
