"""Which faces are one, and what is told of them."""

import pytest

from marquee.v1 import recognizer_pb2 as pb
from services.gateway import fusion
from tests.support.servers import LEFT, NEAR_LEFT, RIGHT, candidate, face, result, summary


def test_faces_apart_are_two_people() -> None:
    """Faces that do not overlap are judged each for itself."""
    assert summary(result("svm", face(LEFT, "Ada")), result("aws", face(RIGHT, "Bob"))) == [
        ("IDENTIFIED", "Ada"),
        ("IDENTIFIED", "Bob"),
    ]


def test_verdicts_go_from_left_to_right() -> None:
    """Verdicts are ordered by place, whoever found them."""
    svm = result("svm", face(RIGHT, "Bob"), face(LEFT, "Ada"))
    assert summary(svm) == [("IDENTIFIED", "Ada"), ("IDENTIFIED", "Bob")]


def test_a_recognizers_own_faces_are_never_one() -> None:
    """Two faces that one recognizer tells apart stay two, however much they overlap."""
    verdicts = fusion.verdicts([result("svm", face(LEFT, "Ada"), face(NEAR_LEFT, "Bob")), result("aws", face(LEFT))])
    assert [verdict.display_name for verdict in verdicts] == ["Ada", "Bob"]


def test_a_face_joins_the_one_that_it_overlaps_most() -> None:
    """Of two neighbours that overlap, the nearer is meant."""
    svm = result("svm", face((0.1, 0.2, 0.2, 0.3), "Ada"), face((0.16, 0.2, 0.2, 0.3), "Bob"))
    aws = result("aws", face((0.15, 0.2, 0.2, 0.3), "Bob"))
    assert summary(svm, aws) == [("IDENTIFIED", "Ada"), ("IDENTIFIED", "Bob")]


@pytest.mark.parametrize(
    "feature", [pb.FEATURE_CELEBRITIES, pb.FEATURE_FACES, pb.FEATURE_FACE_SEARCH], ids=pb.Feature.Name
)
def test_no_face_where_somebody_looked(feature: pb.Feature.ValueType) -> None:
    """Nobody found a face, and somebody looked for one: a single NO_FACE without a box."""
    looked = pb.RecognizerResult(outcome=pb.OUTCOME_OK, performed_features=[feature])
    (verdict,) = fusion.verdicts([looked, looked])
    assert (verdict.state, verdict.HasField("box")) == (pb.VERDICT_STATE_NO_FACE, False)


def test_no_verdict_where_nobody_looked() -> None:
    """Labels alone say nothing about faces."""
    assert fusion.verdicts([pb.RecognizerResult(outcome=pb.OUTCOME_OK, performed_features=[pb.FEATURE_LABELS])]) == []


@pytest.mark.parametrize("outcome", [pb.OUTCOME_ERROR, pb.OUTCOME_TIMEOUT, pb.OUTCOME_SHED, pb.OUTCOME_SKIPPED])
def test_who_did_not_answer_saw_nothing(outcome: pb.Outcome.ValueType) -> None:
    """A recognizer that failed neither supports a name nor says that there is no face."""
    assert fusion.verdicts([result("svm", face(LEFT, "Ada"), outcome=outcome)]) == []


def test_a_partial_answer_counts() -> None:
    """What a recognizer found counts, though another of its features failed."""
    assert summary(result("svm", face(LEFT, "Ada"), outcome=pb.OUTCOME_PARTIAL)) == [("IDENTIFIED", "Ada")]


def test_people_without_a_place_come_last() -> None:
    """A person seen in the picture as a whole has a verdict without a box, after the faces."""
    verdicts = fusion.verdicts(
        [result("svm", face(RIGHT, "Ada")), result("keras", image_candidates=[candidate("Bob")])]
    )
    assert [(one.display_name, one.HasField("box")) for one in verdicts] == [("Ada", True), ("Bob", False)]


def test_a_person_with_a_place_is_not_told_again() -> None:
    """Who has a face is not listed once more without one."""
    assert summary(
        result("svm", face(LEFT, "Ada Lovelace")), result("k", image_candidates=[candidate("ada_lovelace")])
    ) == [("IDENTIFIED", "Ada Lovelace")]


def test_people_without_a_place_are_joined_by_name() -> None:
    """Two recognizers that see the same person in the whole picture make one verdict."""
    one, other = (
        result(name, image_candidates=[candidate("Bob", score)]) for name, score in (("keras", 0.4), ("aws", 0.8))
    )
    (verdict,) = fusion.verdicts([one, other])
    assert [support.recognizer for support in verdict.support] == ["aws", "keras"]


def test_merges_labels_by_name() -> None:
    """A label that two recognizers tell is listed once, with its best score; best first, no more than asked."""
    one = pb.RecognizerResult(
        outcome=pb.OUTCOME_OK, labels=[pb.Label(name="Boat", score=0.5), pb.Label(name="Sea", score=0.7)]
    )
    other = pb.RecognizerResult(
        outcome=pb.OUTCOME_OK, labels=[pb.Label(name="boat", score=0.9), pb.Label(name="Sky", score=0.1)]
    )
    assert [label.name for label in fusion.merge_labels([one, other], 2)] == ["boat", "Sea"]


def test_labels_of_who_failed_are_left_out() -> None:
    """A result that is no answer has no say in the labels."""
    failed = pb.RecognizerResult(outcome=pb.OUTCOME_ERROR, labels=[pb.Label(name="Boat", score=1)])
    assert fusion.merge_labels([failed], 10) == []


def test_changes_nothing_that_it_is_given() -> None:
    """Fusion is pure: the results are as they were."""
    results = [result("svm", face(RIGHT, "Bob"), face(LEFT, "Ada")), result("aws", face(LEFT, "Bob"))]
    before = [one.SerializeToString() for one in results]
    fusion.verdicts(results)
    fusion.merge_labels(results, 1)
    assert [one.SerializeToString() for one in results] == before
