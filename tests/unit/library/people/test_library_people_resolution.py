"""Whom the faces of a picture show follows from the facts alone."""

import random
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from marquee.library.v1 import library_pb2 as pb
from services.library.people.resolution import NEIGHBOURS, Facts, Opinion, resolve

ANNA, BEN, CARL = PEOPLE = [UUID(int=number) for number in (1, 2, 3)]
FACES = [UUID(int=number) for number in range(10, 14)]

people = st.sampled_from(PEOPLE)
opinions = st.builds(
    Opinion, people, st.integers(0, 4).map(lambda quarters: quarters / 4), st.sampled_from([NEIGHBOURS, "svm", "keras"])
)


def facts_of(face_id: UUID) -> st.SearchStrategy[Facts]:
    refused = st.frozensets(people, max_size=3)
    said = st.lists(opinions, max_size=4)
    undecided = st.builds(Facts, face_id=st.just(face_id), opinions=said, refused=refused)
    decided = st.builds(
        Facts,
        face_id=st.just(face_id),
        decided=st.just(value=True),
        person_id=st.none() | people,
        opinions=said,
        refused=refused,
    )
    return undecided | decided


def is_once(faces: Sequence[Facts]) -> bool:
    """Return whether nobody was decided to be two of the faces, as the library refuses it."""
    decided = [one.person_id for one in faces if one.decided and one.person_id]
    return len(decided) == len(set(decided))


pictures = st.tuples(*map(facts_of, FACES)).filter(is_once)


@given(pictures, st.randoms(use_true_random=False))
def test_the_order_of_faces_and_opinions_does_not_matter(faces: Sequence[Facts], order: random.Random) -> None:
    """Facts that come in another order amount to the same."""
    shuffled = [replace(one, opinions=order.sample(one.opinions, len(one.opinions))) for one in faces]
    assert resolve(order.sample(shuffled, len(shuffled))) == resolve(faces)


@given(pictures)
def test_decisions_hold(faces: Sequence[Facts]) -> None:
    """A decided face shows who was decided, or nobody, whatever machines say."""
    found = resolve(faces)
    for one in (one for one in faces if one.decided):
        shown = found.get(one.face_id)
        assert (shown.person_id if shown else None) == one.person_id
        assert shown is None or shown.source == pb.ASSIGNMENT_SOURCE_DECISION


@given(pictures)
def test_machines_name_nobody_who_was_refused(faces: Sequence[Facts]) -> None:
    """A face that is not decided shows somebody whom a machine says, and who was not refused."""
    found = resolve(faces)
    for one in (one for one in faces if not one.decided and one.face_id in found):
        shown = found[one.face_id]
        assert shown.person_id in {opinion.person_id for opinion in one.opinions} - one.refused


@given(pictures)
def test_nobody_is_in_a_picture_twice(faces: Sequence[Facts]) -> None:
    """Each person is at most one of the faces."""
    shown = [one.person_id for one in resolve(faces).values()]
    assert len(shown) == len(set(shown))


@given(pictures)
def test_a_face_is_nameless_for_a_reason(faces: Sequence[Facts]) -> None:
    """Whom a machine says of a nameless face was refused to it, or is another face of the picture."""
    found = resolve(faces)
    present = {one.person_id for one in found.values()}
    for one in (one for one in faces if not one.decided and one.face_id not in found):
        assert {opinion.person_id for opinion in one.opinions} <= present | one.refused


def test_the_likelier_face_gets_the_name() -> None:
    """Of two faces that a machine takes for one person, the one with the better score is theirs."""
    faces = [
        Facts(FACES[0], opinions=[Opinion(ANNA, 0.75, "svm")]),
        Facts(FACES[1], opinions=[Opinion(ANNA, 1, "svm")]),
    ]
    assert {face_id: one.person_id for face_id, one in resolve(faces).items()} == {FACES[1]: ANNA}


def test_neighbours_go_before_recognizers() -> None:
    """What follows from decisions about faces nearby goes before a recognizer's better score."""
    said = [Opinion(ANNA, 1, "svm"), Opinion(BEN, 0.5, NEIGHBOURS)]
    assert resolve([Facts(FACES[0], opinions=said)])[FACES[0]].person_id == BEN
