"""Distances to the known faces."""

import numpy as np

from services.svm.gallery.people import Gallery, Person

ADA, BEA, CAT = (Person(name.lower(), name) for name in ("Ada", "Bea", "Cat"))


def test_distances_are_to_each_persons_nearest_face() -> None:
    """The nearest of a person's faces counts, whatever the order of the rows."""
    gallery = Gallery((ADA, BEA), np.array([[3, 4], [0.0, 0], [0, 1]]), np.array([1, 0, 1]))
    assert gallery.distances(np.array([[0.0, 0], [3, 4]])).tolist() == [[0, 1], [5, 0]]


def test_distances_are_those_of_numpy() -> None:
    """One matrix product gives the same distances as the difference of each pair, within 1e-6."""
    generator = np.random.default_rng(0)
    rows, vectors = generator.normal(size=(40, 128)), generator.normal(size=(5, 128))
    people = tuple(Person(str(number), "") for number in range(40))
    plain = np.linalg.norm(vectors[:, np.newaxis] - rows, axis=2)
    assert np.abs(Gallery(people, rows, np.arange(40)).distances(vectors) - plain).max() < 1e-6


def test_people_without_faces_are_infinitely_far() -> None:
    """A person without faces, left out of a cross-validation fold or only renamed, has an infinite distance."""
    gallery = Gallery((ADA, BEA, CAT), np.array([[0.0, 0]]), np.array([1]))
    assert gallery.distances(np.array([[3.0, 4]])).tolist() == [[np.inf, 5, np.inf]]
    assert Gallery((ADA,), np.empty((0, 2)), np.empty(0, np.int64)).distances(np.array([[3.0, 4]])).tolist() == [
        [np.inf]
    ]
