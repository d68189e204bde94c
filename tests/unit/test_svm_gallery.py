"""The known faces."""

import numpy as np

from services.svm.gallery import Gallery
from services.svm.people import Person

ADA, BEA, CAT = (Person(name.lower(), name) for name in ("Ada", "Bea", "Cat"))


def test_distances_are_to_each_persons_nearest_face() -> None:
    """Of several faces of one person the nearest counts."""
    gallery = Gallery((ADA, BEA), np.array([[0.0, 0], [3, 4], [0, 1]]), np.array([0, 1, 1]))
    assert gallery.distances(np.array([[0.0, 0], [3, 4]])).tolist() == [[0, 1], [5, 0]]


def test_a_person_comes_last_and_is_found() -> None:
    """Faces of somebody new stand behind the people that the classifier knows; the old gallery stays as it was."""
    before = Gallery((ADA, BEA), np.eye(2), np.array([0, 1]))
    after = before.with_faces(CAT, np.array([[9.0, 9]]))
    assert after.people == (ADA, BEA, CAT)
    assert after.distances(np.array([[9.0, 8]])).argmin() == 2
    assert before.people == (ADA, BEA)


def test_a_known_person_gets_more_faces() -> None:
    """No second entry is made."""
    gallery = Gallery((ADA, BEA), np.eye(2), np.array([0, 1])).with_faces(ADA, np.array([[5.0, 5]]))
    assert gallery.people == (ADA, BEA)
    assert gallery.distances(np.array([[5.0, 5]]))[0, 0] == 0
