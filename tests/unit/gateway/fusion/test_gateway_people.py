"""Who is one person: in a face, and in a picture."""

from itertools import permutations

import pytest

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.fusion import verdict as fusion
from services.gateway.fusion.calibration import Calibration, Curve, ModelCurves, Table
from services.gateway.fusion.verdict import Rules
from tests.support.servers import LEFT, RIGHT, Place, box, result, summary

MIDDLE = (0.35, 0.2, 0.2, 0.3)


def person(person_id: str, name: str, score: float = 0.9, *, enrolled: bool = True) -> pb.Candidate:
    return pb.Candidate(person_id=person_id, display_name=name, score=score, enrolled=enrolled)


def face(place: Place, candidate: pb.Candidate) -> pb.Face:
    return pb.Face(box=box(place), candidates=[candidate])


def on_one_face(*candidates: pb.Candidate) -> list[tuple[str, str]]:
    """Return the verdict on a face that one recognizer each takes for these people."""
    return summary(*(result(f"r{number}", face(LEFT, one)) for number, one in enumerate(candidates)))


def test_two_enrolled_people_may_share_a_name() -> None:
    """Enrolled people with different IDs are different people, whatever they are called."""
    assert on_one_face(person("ada", "Ada"), person("ada-2", "Ada")) == [("DISAGREE", "")]


def test_an_enrolled_person_may_have_two_names() -> None:
    """An ID is one person, even if one recognizer does not know yet that they were renamed."""
    assert on_one_face(person("ada", "Ada", 0.9), person("ada", "Countess Ada", 0.8)) == [("IDENTIFIED", "Ada")]


@pytest.mark.parametrize("enrolled", [True, False])
def test_somebody_else_is_known_by_name(*, enrolled: bool) -> None:
    """Where one of two is not enrolled, their IDs differ by nature, and the same name is the same person."""
    assert on_one_face(person("ada", "Ada", 0.8, enrolled=enrolled), person("4Xb2", "Ada", enrolled=False)) == [
        ("IDENTIFIED", "Ada")
    ]


def test_an_id_is_enough_for_others_too() -> None:
    """Two models that were trained on one person may write the name differently and make the same ID of it."""
    assert on_one_face(person("zoe", "Zoë", enrolled=False), person("zoe", "Zoe", 0.8, enrolled=False)) == [
        ("IDENTIFIED", "Zoë")
    ]


def test_a_name_that_fits_two_people_supports_both() -> None:
    """A name without an ID makes neither of two enrolled people of that name less likely than the other."""
    curve = Curve(slope=1, intercept=0, most=4)
    curves = ModelCurves(model="m", version="1", trained=curve, enrolled=curve)
    names = [person("ada", "Ada", 0.97), person("ada-2", "Ada", 0.6), person("4Xb2", "Ada", 0.9, enrolled=False)]
    rules = Rules(Calibration(Table(recognizers={f"r{number}": curves for number in range(3)}), 0.8, 0.5))
    results = [
        result(f"r{number}", face(LEFT, one), model=pb.Model(name="m", version="1")) for number, one in enumerate(names)
    ]
    found = [fusion.verdicts(order, rules) for order in permutations(results)]
    assert {(one.person_id, one.state) for (one,) in found} == {("ada", pb.VERDICT_STATE_IDENTIFIED)}
    (without,) = fusion.verdicts(results[:2], rules)
    assert found[0][0].score > without.score


def test_a_person_is_named_once_a_picture() -> None:
    """Of two faces with one name the better score keeps it; the other is UNKNOWN, and its support is still told."""
    verdicts = fusion.verdicts(
        [result("svm", face(LEFT, person("ada", "Ada", 0.8)), face(RIGHT, person("ada", "Ada", 0.9)))]
    )
    assert [(one.state, one.display_name, len(one.support)) for one in verdicts] == [
        (pb.VERDICT_STATE_UNKNOWN, "", 1),
        (pb.VERDICT_STATE_IDENTIFIED, "Ada", 1),
    ]


def test_repeated_people_may_be_allowed() -> None:
    """Where an operator allows it, as for collages, one person is named for every face."""
    twice = result("svm", face(LEFT, person("ada", "Ada", 0.8)), face(RIGHT, person("ada", "Ada", 0.9)))
    verdicts = fusion.verdicts([twice], Rules(repeated_people=True))
    assert [one.display_name for one in verdicts] == ["Ada", "Ada"]


def test_namesakes_are_two_people() -> None:
    """Two enrolled people of one name may both be in a picture; a face that has only the name is one of them again."""
    svm = result("svm", face(LEFT, person("ada", "Ada", 0.8)), face(RIGHT, person("ada-2", "Ada", 0.7)))
    aws = result("aws", face(MIDDLE, person("4Xb2", "Ada", 0.9, enrolled=False)))
    for results in ([svm, aws], [aws, svm]):
        assert [one.person_id for one in fusion.verdicts(results)] == ["ada", "", "ada-2"]


def test_an_enrolled_person_keeps_their_own_name() -> None:
    """Another recognizer's name for a face is its enrolled person's, even beside a namesake on another face."""
    svm = result("svm", face(LEFT, person("ada", "Ada", 0.8)), face(RIGHT, person("ada-2", "Ada", 0.7)))
    aws = result("aws", face(LEFT, person("4Xb2", "Ada", 0.9, enrolled=False)))
    assert summary(svm, aws) == [("IDENTIFIED", "Ada"), ("IDENTIFIED", "Ada")]
