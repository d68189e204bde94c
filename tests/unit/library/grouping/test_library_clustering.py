"""Clusters: how a face joins one, begins one, or waits."""

from collections import Counter
from uuid import UUID

import numpy as np

from services.library.grouping import clustering
from services.library.grouping.bands import Bands
from services.library.grouping.clustering import Cluster, Neighbour

BANDS = Bands(assign=0.5, suggest=0.8)
CLUSTER, OTHER = UUID(int=101), UUID(int=102)
ANNA, BEN = UUID(int=201), UUID(int=202)


def at(number: int, *place: float, cluster_id: UUID | None = None, **decided: object) -> Neighbour:
    """Return a face at a place, as far from the face at (1, 0) as it is."""
    vector = np.array(place, np.float32)
    distance = float(np.linalg.norm(vector - np.array([1, 0], np.float32)))
    return Neighbour(UUID(int=number), UUID(int=number), cluster_id, distance, vector, **decided)


def test_three_faces_near_each_other_begin_a_cluster() -> None:
    """Three faces are enough, two are not."""
    face, *near = at(1, 1, 0), at(2, 1, 0.1), at(3, 1, 0.2)
    assert clustering.begun(face, near, BANDS) == [face, *near]
    assert clustering.begun(face, near[:1], BANDS) == []


def test_a_chain_of_faces_begins_no_cluster() -> None:
    """Each has to be near to all others, not to the next one alone."""
    face, *near = at(1, 1, 0), at(2, 1, 0.4), at(3, 1, -0.4)
    assert clustering.begun(face, near, BANDS) == []


def test_faces_of_one_picture_begin_no_cluster() -> None:
    """Nobody is in a picture twice."""
    face, *near = at(1, 1, 0), at(2, 1, 0.1), at(3, 1, 0.2)
    near[1] = near[1]._replace(picture_id=near[0].picture_id)
    assert clustering.begun(face, near, BANDS) == []


def test_faces_that_were_told_apart_begin_no_cluster() -> None:
    """Neither do faces of two people, nor one that was refused whom another one shows."""
    face, *near = at(1, 1, 0), at(2, 1, 0.1, person_id=ANNA), at(3, 1, 0.2, person_id=BEN)
    assert clustering.begun(face, near, BANDS) == []
    near[1] = at(3, 1, 0.2, refused=frozenset({ANNA}))
    assert clustering.begun(face, near, BANDS) == []


def test_a_face_joins_the_nearest_of_the_clusters_that_neighbours_vote_for() -> None:
    """The middle of a cluster decides, not who is nearest."""
    clusters = {CLUSTER: Cluster(9, np.array([1, 0.3], np.float32)), OTHER: Cluster(9, np.array([1, 0.1], np.float32))}
    votes = Counter({CLUSTER: 5, OTHER: 3})
    assert clustering.joined(np.array([1, 0], np.float32), votes, clusters, BANDS) == OTHER


def test_a_face_joins_no_cluster_whose_middle_is_far_or_that_few_vote_for() -> None:
    """Votes alone are not enough, nor is the middle."""
    face = np.array([1, 0], np.float32)
    far, near = Cluster(9, np.array([0.6, 0.8], np.float32)), Cluster(9, np.array([1, 0.1], np.float32))
    assert clustering.joined(face, {CLUSTER: 9}, {CLUSTER: far}, BANDS) is None
    assert clustering.joined(face, {CLUSTER: 2}, {CLUSTER: near}, BANDS) is None


def test_the_length_of_a_middle_does_not_count() -> None:
    """The mean of faces that differ is shorter than they are, which brings nobody nearer."""
    face = np.array([1, 0], np.float32)
    assert clustering.distance_from(face, np.array([0.5, 0], np.float32)) == 0
