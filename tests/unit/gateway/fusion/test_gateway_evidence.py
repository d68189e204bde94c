"""Verdicts by likelihood ratios: with a table of calibration for the models that looked."""

import math

import pytest

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.fusion import verdict as fusion
from services.gateway.fusion.calibration import Calibration, Curve, ModelCurves, Table
from services.gateway.fusion.verdict import Rules
from tests.support.servers import LEFT, RIGHT, candidate, face, result

MODEL = pb.Model(name="m", version="1")
CURVE = Curve(slope=1, intercept=0, most=4)
TABLE = Table(
    recognizers={name: ModelCurves(model="m", version="1", trained=CURVE) for name in ("svm", "aws", "keras")}
)


def judged(*results: pb.RecognizerResult, **rules: float) -> list[pb.Verdict]:
    """Return the verdicts with the table, for results of its models unless they have others."""
    for one in results:
        one.model.MergeFrom(pb.Model(name=one.model.name or "m", version=one.model.version or "1"))
    return fusion.verdicts(results, Rules(Calibration(TABLE, **rules)))


def score_of(ratio: float) -> float:
    """Return the score that the curve takes for this log-likelihood ratio."""
    return 1 / (1 + math.exp(-ratio))


def state_of(verdict: pb.Verdict) -> str:
    return pb.VerdictState.Name(verdict.state).removeprefix("VERDICT_STATE_")


@pytest.mark.parametrize("prior_unknown", [0.1, 0.5, 0.9])
def test_the_score_is_a_probability(prior_unknown: float) -> None:
    """By Bayes' rule: the odds that anybody is known, times how much likelier the score is for the person."""
    (verdict,) = judged(result("svm", face(LEFT, "Ada", score_of(2.5))), prior_unknown=prior_unknown)
    odds = (1 - prior_unknown) / prior_unknown * math.exp(2.5)
    assert verdict.score == pytest.approx(odds / (1 + odds))
    assert verdict.basis == pb.VERDICT_BASIS_CALIBRATED


def test_ratios_of_independent_votes_add_up() -> None:
    """Two networks that agree are as good as one with the sum of their ratios; each ratio is told."""
    (verdict,) = judged(result("svm", face(LEFT, "Ada", score_of(1))), result("aws", face(LEFT, "Ada", score_of(0.5))))
    assert verdict.score == pytest.approx(score_of(1.5))
    assert [one.log_likelihood_ratio for one in verdict.support] == pytest.approx([1, 0.5], abs=1e-4)


def test_an_evidence_group_has_one_vote() -> None:
    """Of recognizers that share a network only the largest ratio counts."""
    (verdict,) = judged(
        result("svm", face(LEFT, "Ada", score_of(1)), group="dlib"),
        result("aws", face(LEFT, "Ada", score_of(2)), group="dlib"),
    )
    assert verdict.score == pytest.approx(score_of(2))


def test_evidence_is_bounded() -> None:
    """However sure a recognizer is, it counts no more than the table allows."""
    (verdict,) = judged(result("svm", face(LEFT, "Ada", 1)))
    assert verdict.score == pytest.approx(score_of(4))


def test_who_is_silent_changes_nothing() -> None:
    """A recognizer that sees the face and names nobody leaves the probability as it is."""
    alone, beside = (
        judged(result("svm", face(LEFT, "Ada", score_of(1))), *others)[0].score
        for others in ((), (result("aws", face(LEFT)),))
    )
    assert alone == beside


def test_a_score_that_speaks_for_nobody_is_no_vote() -> None:
    """A candidate whose score is likelier for others names nobody, contradicts nobody and is told with a ratio of 0."""
    unlikely = result("aws", face(LEFT, "Bob", score_of(-1)))
    (alone,) = judged(unlikely)
    assert (state_of(alone), alone.support[0].log_likelihood_ratio) == ("UNKNOWN", 0)
    (beside,) = judged(unlikely, result("svm", face(LEFT, "Ada", score_of(1))))
    assert (state_of(beside), beside.display_name, beside.score) == ("IDENTIFIED", "Ada", pytest.approx(score_of(1)))


@pytest.mark.parametrize(("threshold", "expected"), [(0.7, "IDENTIFIED"), (0.8, "UNKNOWN")])
def test_a_face_is_identified_from_the_threshold_on(threshold: float, expected: str) -> None:
    """Below the operator's threshold a face is UNKNOWN, and its support still told."""
    (verdict,) = judged(result("svm", face(LEFT, "Ada", score_of(1))), threshold=threshold)
    assert (state_of(verdict), len(verdict.support)) == (expected, 1)
    assert verdict.HasField("box")


def test_two_strong_votes_for_different_people_disagree() -> None:
    """Two networks that are each sure of somebody else make a verdict without a name."""
    (verdict,) = judged(
        result("svm", face(LEFT, "Ada", score_of(4))), result("aws", face(LEFT, "Bob", score_of(1.5))), threshold=0.8
    )
    assert (state_of(verdict), verdict.person_id) == ("DISAGREE", "")


def test_a_weak_vote_for_somebody_else_lowers_the_score() -> None:
    """A vote that would not do by itself does not disagree; it makes the other person less likely."""
    (verdict,) = judged(
        result("svm", face(LEFT, "Ada", score_of(4))), result("aws", face(LEFT, "Bob", score_of(1))), threshold=0.8
    )
    assert (state_of(verdict), verdict.display_name) == ("IDENTIFIED", "Ada")
    assert verdict.score == pytest.approx(math.exp(4) / (1 + math.exp(4) + math.exp(1)))


def test_a_person_without_a_place_needs_the_threshold_too() -> None:
    """Of people in the whole picture only the likely ones are named; if there are none, somebody is UNKNOWN."""
    sure, unsure = candidate("Ada", score_of(3)), candidate("Bob", score_of(1))
    (verdict,) = judged(result("keras", image_candidates=[sure, unsure]), threshold=0.8)
    assert (verdict.display_name, verdict.score) == ("Ada", pytest.approx(score_of(3)))
    (verdict,) = judged(result("keras", image_candidates=[unsure]), threshold=0.8)
    assert (state_of(verdict), verdict.basis) == ("UNKNOWN", pb.VERDICT_BASIS_CALIBRATED)


@pytest.mark.parametrize(
    "other",
    [
        result("aws", face(LEFT), model=pb.Model(name="m", version="2")),
        result("aws", face(LEFT), model=pb.Model(name="n", version="1")),
        result("fourth", face(LEFT, "Ada", 0.6)),
        result("aws", pb.Face(candidates=[pb.Candidate(person_id="1", display_name="Ada", score=1, enrolled=True)])),
    ],
    ids=["version", "model", "recognizer", "enrolled"],
)
def test_a_table_for_other_models_is_stale(other: pb.RecognizerResult) -> None:
    """If one model that looked for people, or one kind of them, is not in the table, scores count, as without one."""
    results = [result("svm", face(LEFT, "Ada", 0.9)), other]
    calibrated = judged(*results)
    plain = fusion.verdicts(results)
    assert {one.basis for one in plain} == {pb.VERDICT_BASIS_SCORES}
    for one in plain:
        one.basis = pb.VERDICT_BASIS_STALE_CALIBRATION
    assert calibrated == plain


@pytest.mark.parametrize(
    "other",
    [
        result("aws", face(RIGHT), model=pb.Model(name="m", version="1+7")),
        pb.RecognizerResult(
            recognizer="fourth", outcome=pb.OUTCOME_OK, faces=[face(RIGHT)], performed_features=[pb.FEATURE_FACES]
        ),
        pb.RecognizerResult(recognizer="fourth", outcome=pb.OUTCOME_ERROR),
    ],
    ids=["gallery", "no names", "failed"],
)
def test_what_needs_no_table_makes_none_stale(other: pb.RecognizerResult) -> None:
    """Enrollments change no score's meaning, and who does not look for people, or failed, needs no curve."""
    verdicts = judged(result("svm", face(LEFT, "Ada", 0.9)), other)
    assert {one.basis for one in verdicts} == {pb.VERDICT_BASIS_CALIBRATED}


def test_no_face_has_no_basis() -> None:
    """Where nobody found a face, there was nothing to make a verdict from."""
    assert [one.basis for one in judged(result("svm"))] == [pb.VERDICT_BASIS_UNSPECIFIED]
