"""Verdicts on a face that several recognizers name."""

import pytest

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.fusion import verdict as fusion
from tests.support.servers import LEFT, NEAR_LEFT, box, candidate, face, result, summary


def test_overlapping_faces_of_two_recognizers_are_one() -> None:
    """Two recognizers that give one face the same name make one verdict, which both support."""
    (verdict,) = fusion.verdicts([result("svm", face(LEFT, "Ada", 0.7)), result("aws", face(NEAR_LEFT, "Ada", 0.9))])
    assert (verdict.state, verdict.display_name) == (pb.VERDICT_STATE_IDENTIFIED, "Ada")
    assert [support.recognizer for support in verdict.support] == ["aws", "svm"]


def test_a_verdict_takes_after_its_best_support() -> None:
    """The verdict's box, person_id and score come from the recognizer with the best score."""
    (verdict,) = fusion.verdicts([result("svm", face(LEFT, "ada", 0.7)), result("aws", face(NEAR_LEFT, "Ada", 0.9))])
    assert (verdict.box, verdict.person_id) == (box(NEAR_LEFT), "id of Ada")
    assert verdict.score == pytest.approx(0.9)


def test_a_face_that_nobody_names_is_unknown() -> None:
    """A face without candidates gets an UNKNOWN verdict with its box."""
    (verdict,) = fusion.verdicts([result("svm", face(LEFT)), result("aws", face(NEAR_LEFT))])
    assert (verdict.state, verdict.box, len(verdict.support)) == (pb.VERDICT_STATE_UNKNOWN, box(LEFT), 0)


def test_not_knowing_a_face_is_no_contradiction() -> None:
    """A face that one recognizer names and another does not know is IDENTIFIED."""
    assert summary(result("svm", face(LEFT)), result("aws", face(LEFT, "Ada"))) == [("IDENTIFIED", "Ada")]


def test_different_names_disagree() -> None:
    """A face with two names is DISAGREE, without a person; both recognizers are listed as support, best score first."""
    (verdict,) = fusion.verdicts([result("svm", face(LEFT, "Ada", 0.6)), result("aws", face(LEFT, "Bob", 0.8))])
    assert (verdict.state, verdict.display_name, verdict.person_id, verdict.score) == (
        pb.VERDICT_STATE_DISAGREE,
        "",
        "",
        0,
    )
    assert [support.candidate.display_name for support in verdict.support] == ["Bob", "Ada"]


@pytest.mark.parametrize(
    "other", ["grace hopper", "Grace_Hopper", "  Grace   Hopper ", "GRACE HOPPER", "Grace\u200b Hopper"], ids=repr
)
def test_spelling_makes_no_other_person(other: str) -> None:
    """Names that differ only in case, blanks, underscores and zero-width characters mean the same person."""
    assert summary(result("svm", face(LEFT, other, 0.5)), result("aws", face(LEFT, "Grace Hopper"))) == [
        ("IDENTIFIED", "Grace Hopper")
    ]


def test_composed_and_decomposed_accents_are_equal() -> None:
    """A name with decomposed accents, as in macOS file names, equals its composed form."""
    assert summary(result("svm", face(LEFT, "Zoe\u0308", 0.5)), result("aws", face(LEFT, "Zo\u00eb"))) == [
        ("IDENTIFIED", "Zo\u00eb")
    ]


def test_only_the_best_candidate_of_a_recognizer_counts() -> None:
    """Only a recognizer's best candidate counts, wherever it is in the list."""
    unsure = pb.Face(box=box(LEFT), candidates=[candidate("Bob", 0.2), candidate("Ada", 0.8)])
    assert summary(result("svm", unsure), result("aws", face(LEFT, "Ada"))) == [("IDENTIFIED", "Ada")]


def test_an_evidence_group_cannot_outvote() -> None:
    """Two recognizers that share a network count once, so a third one that differs makes the verdict DISAGREE."""
    assert summary(
        result("svm", face(LEFT, "Ada"), group="dlib"),
        result("aws", face(LEFT, "Ada"), group="dlib"),
        result("keras", face(LEFT, "Bob", 0.3)),
    ) == [("DISAGREE", "")]


def test_an_evidence_group_does_not_disagree_with_itself() -> None:
    """Two recognizers that share a network count once, with the better-scored name."""
    assert summary(
        result("svm", face(LEFT, "Ada", 0.9), group="dlib"), result("aws", face(LEFT, "Bob", 0.5), group="dlib")
    ) == [("IDENTIFIED", "Ada")]


def test_support_has_the_evidence_group() -> None:
    """Each support has its evidence group; a recognizer without one is its own group."""
    (verdict,) = fusion.verdicts(
        [result("svm", face(LEFT, "Ada", 0.9), group="dlib"), result("aws", face(LEFT, "Ada", 0.8))]
    )
    assert [support.evidence_group for support in verdict.support] == ["dlib", "aws"]


def test_a_label_never_supports_a_name() -> None:
    """The label Celebrity, or a label that equals a person's name, changes no verdict."""
    labels = [pb.Label(name="Celebrity", score=1), pb.Label(name="Bob", score=1)]
    (verdict,) = fusion.verdicts([result("svm", face(LEFT, "Ada", 0.5)), result("keras", labels=labels)])
    assert [support.recognizer for support in verdict.support] == ["svm"]
    assert verdict.score == pytest.approx(0.5)
