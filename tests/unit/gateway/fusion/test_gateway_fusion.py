"""Matching of faces across recognizers, and the verdicts and labels that result."""

import pytest

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.fusion import verdict as fusion
from tests.support.servers import LEFT, NEAR_LEFT, RIGHT, candidate, face, result, summary


def test_faces_apart_are_two_people() -> None:
    """Faces that do not overlap get separate verdicts."""
    assert summary(result("svm", face(LEFT, "Ada")), result("aws", face(RIGHT, "Bob"))) == [
        ("IDENTIFIED", "Ada"),
        ("IDENTIFIED", "Bob"),
    ]


def test_verdicts_go_from_left_to_right() -> None:
    """Verdicts are ordered from left to right, whatever the order of the faces."""
    svm = result("svm", face(RIGHT, "Bob"), face(LEFT, "Ada"))
    assert summary(svm) == [("IDENTIFIED", "Ada"), ("IDENTIFIED", "Bob")]


def test_a_recognizers_own_faces_are_never_one() -> None:
    """Two faces of the same recognizer stay separate, however much they overlap."""
    verdicts = fusion.verdicts([result("svm", face(LEFT, "Ada"), face(NEAR_LEFT, "Bob")), result("aws", face(LEFT))])
    assert [verdict.display_name for verdict in verdicts] == ["Ada", "Bob"]


def test_a_face_joins_the_one_that_it_overlaps_most() -> None:
    """A face that overlaps two neighbours is matched with the one that it overlaps more."""
    svm = result("svm", face((0.1, 0.2, 0.2, 0.3), "Ada"), face((0.16, 0.2, 0.2, 0.3), "Bob"))
    aws = result("aws", face((0.15, 0.2, 0.2, 0.3), "Bob"))
    assert summary(svm, aws) == [("IDENTIFIED", "Ada"), ("IDENTIFIED", "Bob")]


@pytest.mark.parametrize(
    "feature", [pb.FEATURE_CELEBRITIES, pb.FEATURE_FACES, pb.FEATURE_FACE_SEARCH], ids=pb.Feature.Name
)
def test_no_face_where_somebody_looked(feature: pb.Feature.ValueType) -> None:
    """If recognizers looked for faces and found none, the only verdict is NO_FACE, without a box."""
    looked = pb.RecognizerResult(outcome=pb.OUTCOME_OK, performed_features=[feature])
    (verdict,) = fusion.verdicts([looked, looked])
    assert (verdict.state, verdict.HasField("box")) == (pb.VERDICT_STATE_NO_FACE, False)


def test_labels_alone_give_no_verdict() -> None:
    """A result with only labels leads to no verdict, not even NO_FACE."""
    assert fusion.verdicts([pb.RecognizerResult(outcome=pb.OUTCOME_OK, performed_features=[pb.FEATURE_LABELS])]) == []


@pytest.mark.parametrize("outcome", [pb.OUTCOME_ERROR, pb.OUTCOME_TIMEOUT, pb.OUTCOME_SHED, pb.OUTCOME_SKIPPED])
def test_a_failed_result_is_no_evidence(outcome: pb.Outcome.ValueType) -> None:
    """A recognizer that failed neither supports a name nor says that there is no face."""
    assert fusion.verdicts([result("svm", face(LEFT, "Ada"), outcome=outcome)]) == []


def test_a_partial_answer_counts() -> None:
    """A recognizer's faces count even if another of its features failed."""
    assert summary(result("svm", face(LEFT, "Ada"), outcome=pb.OUTCOME_PARTIAL)) == [("IDENTIFIED", "Ada")]


@pytest.mark.parametrize(
    ("score", "expected"),
    [(0.49, [("UNKNOWN", "")]), (0.5, [("IDENTIFIED", "Ada")]), (0.9, [("IDENTIFIED", "Ada")])],
)
def test_a_candidate_below_its_models_score_supports_nothing(score: float, expected: list[tuple[str, str]]) -> None:
    """A name counts from the model's identify_score on, in a face and in the whole picture alike."""
    model = pb.Model(identify_score=0.5)
    in_face = result("svm", face(LEFT, "Ada", score), model=model)
    in_picture = result("keras", image_candidates=[candidate("Ada", score)], model=model)
    assert summary(in_face) == summary(in_picture) == expected


def test_an_unsure_name_neither_disagrees_nor_is_listed() -> None:
    """Another recognizer's name stands beside an unsure one, which is no support; the result keeps it."""
    unsure = result("svm", face(LEFT, "Eve", 0.4), face(RIGHT, "Eve", 0.4), model=pb.Model(identify_score=0.5))
    everywhere = result("keras", image_candidates=[candidate("Eve", 0.4)], model=pb.Model(identify_score=0.5))
    verdicts = fusion.verdicts([unsure, everywhere, result("aws", face(LEFT, "Ada", 0.3))])
    assert [(one.display_name, [by.recognizer for by in one.support]) for one in verdicts] == [
        ("Ada", ["aws"]),
        ("", []),
    ]
    assert unsure.faces[0].candidates[0].display_name == "Eve"


def test_people_without_a_place_come_last() -> None:
    """A person recognized in the picture as a whole has a verdict without a box, after the faces."""
    verdicts = fusion.verdicts(
        [result("svm", face(RIGHT, "Ada")), result("keras", image_candidates=[candidate("Bob")])]
    )
    assert [(one.display_name, one.HasField("box")) for one in verdicts] == [("Ada", True), ("Bob", False)]


def test_a_person_with_a_face_is_not_listed_twice() -> None:
    """A person with a face is not listed again without one."""
    assert summary(
        result("svm", face(LEFT, "Ada Lovelace")), result("k", image_candidates=[candidate("ada_lovelace")])
    ) == [("IDENTIFIED", "Ada Lovelace")]


def test_people_without_a_place_are_joined_by_name() -> None:
    """Two recognizers that name the same person for the whole picture make one verdict."""
    one, other = (
        result(name, image_candidates=[candidate("Bob", score)]) for name, score in (("keras", 0.4), ("aws", 0.8))
    )
    (verdict,) = fusion.verdicts([one, other])
    assert [support.recognizer for support in verdict.support] == ["aws", "keras"]


def test_merges_labels_by_name() -> None:
    """A label that two recognizers return is listed once, with its best score; the best labels are kept, best first."""
    one = pb.RecognizerResult(
        outcome=pb.OUTCOME_OK, labels=[pb.Label(name="Boat", score=0.5), pb.Label(name="Sea", score=0.7)]
    )
    other = pb.RecognizerResult(
        outcome=pb.OUTCOME_OK, labels=[pb.Label(name="boat", score=0.9), pb.Label(name="Sky", score=0.1)]
    )
    assert [label.name for label in fusion.merge_labels([one, other], 2)] == ["boat", "Sea"]


def test_a_failed_results_labels_are_left_out() -> None:
    """A failed result contributes no labels."""
    failed = pb.RecognizerResult(outcome=pb.OUTCOME_ERROR, labels=[pb.Label(name="Boat", score=1)])
    assert fusion.merge_labels([failed], 10) == []


def test_does_not_change_its_input() -> None:
    """Fusion leaves the results that it is given unchanged."""
    results = [result("svm", face(RIGHT, "Bob"), face(LEFT, "Ada")), result("aws", face(LEFT, "Bob"))]
    before = [one.SerializeToString() for one in results]
    fusion.verdicts(results)
    fusion.merge_labels(results, 1)
    assert [one.SerializeToString() for one in results] == before
