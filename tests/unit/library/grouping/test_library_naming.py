"""Whom a face shows, by decided faces nearby and by those of its cluster."""

from uuid import UUID

import numpy as np

from marquee.library.v1.people_pb2 import BAND_ASSIGN, BAND_SUGGEST
from services.library.grouping import naming
from services.library.grouping.bands import Bands
from services.library.grouping.clustering import Cluster
from services.library.grouping.naming import Known

BANDS = Bands(assign=0.5, suggest=0.8)
FACE = np.array([1, 0], np.float32)
OWN = Cluster(5, np.array([1, 0.2], np.float32))
ANNA, BEN = UUID(int=1), UUID(int=2)


def known(person_id: UUID, distance: float, *, decided: bool = True) -> Known:
    """Return a known face so far away."""
    return Known(person_id, distance, np.array([1, distance], np.float32), decided)


def bands_of(
    near: list[Known], cluster: Cluster | None = None, members: frozenset[UUID] = frozenset()
) -> dict[UUID, int]:
    """Return the band of each person of whom something is said."""
    told = naming.opinions(FACE, near, cluster, members, BANDS)
    return {person_id: said.band for person_id, said in told.items()}


def test_a_face_has_the_name_of_its_cluster() -> None:
    """One decided face names all of its cluster."""
    assert bands_of([], OWN, frozenset({ANNA})) == {ANNA: BAND_ASSIGN}


def test_a_cluster_of_two_people_names_nobody_without_a_clear_neighbour() -> None:
    """Where a cluster turns out to be of two, the nearer one is named if it is much nearer; else somebody is asked."""
    both = frozenset({ANNA, BEN})
    assert bands_of([], OWN, both) == {ANNA: BAND_SUGGEST, BEN: BAND_SUGGEST}
    assert bands_of([known(ANNA, 0.2), known(BEN, 0.4)], OWN, both) == {ANNA: BAND_ASSIGN, BEN: BAND_SUGGEST}
    assert bands_of([known(ANNA, 0.38), known(BEN, 0.4)], OWN, both) == {ANNA: BAND_SUGGEST, BEN: BAND_SUGGEST}


def test_one_decided_face_names_those_very_near_to_it() -> None:
    """Farther ones are worth a question, and those beyond are nothing."""
    assert bands_of([known(ANNA, 0.4)]) == {ANNA: BAND_ASSIGN}
    assert bands_of([known(ANNA, 0.49)]) == {ANNA: BAND_SUGGEST}
    assert bands_of([known(ANNA, 0.81)]) == {}


def test_several_decided_faces_name_those_near_to_their_middle() -> None:
    """Three of them tell more than one."""
    assert bands_of([known(ANNA, 0.49)] * 3) == {ANNA: BAND_ASSIGN}


def test_a_face_that_nobody_decided_names_no_other() -> None:
    """One mistake does not lead to the next."""
    assert bands_of([known(ANNA, 0.1, decided=False)] * 5) == {ANNA: BAND_SUGGEST}


def test_scores_fall_with_the_distance() -> None:
    """A score is one half at the greatest distance that is worth a question."""
    assert naming.score(0, BANDS) == 1
    assert naming.score(0.8, BANDS) == 0.5
