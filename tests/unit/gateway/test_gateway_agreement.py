"""Who a face is when several recognizers have their say."""

import pytest

from marquee.v1 import recognizer_pb2 as pb
from services.gateway import fusion
from tests.support.servers import LEFT, NEAR_LEFT, box, candidate, face, result, summary


def test_overlapping_faces_of_two_recognizers_are_one() -> None:
    """Two recognizers that name one face alike make one verdict, with both as support."""
    (verdict,) = fusion.verdicts([result("svm", face(LEFT, "Ada", 0.7)), result("aws", face(NEAR_LEFT, "Ada", 0.9))])
    assert (verdict.state, verdict.display_name) == (pb.VERDICT_STATE_IDENTIFIED, "Ada")
    assert [support.recognizer for support in verdict.support] == ["aws", "svm"]


def test_a_verdict_has_the_best_supports_box_person_and_score() -> None:
    """Box, identifier and score are those of the surest recognizer."""
    (verdict,) = fusion.verdicts([result("svm", face(LEFT, "ada", 0.7)), result("aws", face(NEAR_LEFT, "Ada", 0.9))])
    assert (verdict.box, verdict.person_id) == (box(NEAR_LEFT), "id of Ada")
    assert verdict.score == pytest.approx(0.9)


def test_a_face_that_nobody_names_is_unknown() -> None:
    """A face without candidates is UNKNOWN, in its place."""
    (verdict,) = fusion.verdicts([result("svm", face(LEFT)), result("aws", face(NEAR_LEFT))])
    assert (verdict.state, verdict.box, len(verdict.support)) == (pb.VERDICT_STATE_UNKNOWN, box(LEFT), 0)


def test_who_does_not_know_a_face_does_not_contradict() -> None:
    """One recognizer names the face, another does not know it: it is identified."""
    assert summary(result("svm", face(LEFT)), result("aws", face(LEFT, "Ada"))) == [("IDENTIFIED", "Ada")]


def test_different_names_disagree() -> None:
    """Two names for one face are DISAGREE, without a person, and with both as support, the surer first."""
    (verdict,) = fusion.verdicts([result("svm", face(LEFT, "Ada", 0.6)), result("aws", face(LEFT, "Bob", 0.8))])
    assert (verdict.state, verdict.display_name, verdict.person_id, verdict.score) == (
        pb.VERDICT_STATE_DISAGREE,
        "",
        "",
        0,
    )
    assert [support.candidate.display_name for support in verdict.support] == ["Bob", "Ada"]


@pytest.mark.parametrize("other", ["grace hopper", "Grace_Hopper", "  Grace   Hopper ", "GRACE HOPPER"], ids=repr)
def test_spelling_does_not_make_another_person(other: str) -> None:
    """Names that differ in case, blanks and underscores mean one person."""
    assert summary(result("svm", face(LEFT, other, 0.5)), result("aws", face(LEFT, "Grace Hopper"))) == [
        ("IDENTIFIED", "Grace Hopper")
    ]


def test_accents_may_be_written_in_two_ways() -> None:
    """A name from macOS's file names, with its accents apart, is the same name."""
    assert summary(result("svm", face(LEFT, "Zoe\u0308", 0.5)), result("aws", face(LEFT, "Zo\u00eb"))) == [
        ("IDENTIFIED", "Zo\u00eb")
    ]


def test_only_the_best_candidate_of_a_recognizer_counts() -> None:
    """A recognizer speaks with its best candidate, wherever that stands in its list."""
    unsure = pb.Face(box=box(LEFT), candidates=[candidate("Bob", 0.2), candidate("Ada", 0.8)])
    assert summary(result("svm", unsure), result("aws", face(LEFT, "Ada"))) == [("IDENTIFIED", "Ada")]


def test_an_evidence_group_cannot_outvote() -> None:
    """Two recognizers of one network against a third are one against one: DISAGREE."""
    assert summary(
        result("svm", face(LEFT, "Ada"), group="dlib"),
        result("aws", face(LEFT, "Ada"), group="dlib"),
        result("keras", face(LEFT, "Bob", 0.3)),
    ) == [("DISAGREE", "")]


def test_an_evidence_group_does_not_disagree_with_itself() -> None:
    """One network under two recognizers speaks once, by the surer of them."""
    assert summary(
        result("svm", face(LEFT, "Ada", 0.9), group="dlib"), result("aws", face(LEFT, "Bob", 0.5), group="dlib")
    ) == [("IDENTIFIED", "Ada")]


def test_support_tells_the_evidence_group() -> None:
    """Each support tells its group; a recognizer without one is its own."""
    (verdict,) = fusion.verdicts(
        [result("svm", face(LEFT, "Ada", 0.9), group="dlib"), result("aws", face(LEFT, "Ada", 0.8))]
    )
    assert [support.evidence_group for support in verdict.support] == ["dlib", "aws"]


def test_a_label_never_supports_a_name() -> None:
    """Somebody's label Celebrity, or a person's name as a label, changes no verdict."""
    labels = [pb.Label(name="Celebrity", score=1), pb.Label(name="Bob", score=1)]
    (verdict,) = fusion.verdicts([result("svm", face(LEFT, "Ada", 0.5)), result("keras", labels=labels)])
    assert [support.recognizer for support in verdict.support] == ["svm"]
    assert verdict.score == pytest.approx(0.5)
