"""When results are sure, and what a veto is."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.config import Veto
from services.gateway.policy import veto
from services.gateway.policy.course import Member
from services.gateway.policy.sure import Bar

CELEBRITIES, LABELS = pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS
IDENTIFIED, UNKNOWN = pb.VERDICT_STATE_IDENTIFIED, pb.VERDICT_STATE_UNKNOWN
VETO = Veto(recognizer="keras", label="Non-Celebrity", score=0.9)
BAR = Bar(frozenset({CELEBRITIES}), 0.9, {"svm": 0.7})
MEMBERS = (Member("keras"), Member("svm"), Member("rekognition", is_paid=True))


def done(*features: int, outcome: int = pb.OUTCOME_OK, name: str = "svm", **fields: object) -> pb.RecognizerResult:
    return pb.RecognizerResult(recognizer=name, outcome=outcome, performed_features=features, **fields)


def verdict(score: float = 0.95, state: int = IDENTIFIED, by: str = "rekognition", basis: int = 1) -> pb.Verdict:
    return pb.Verdict(state=state, score=score, support=[pb.Support(recognizer=by)], basis=basis)


@pytest.mark.parametrize(
    ("results", "verdicts", "is_sure"),
    {
        "identified": ([done(CELEBRITIES)], [verdict()], True),
        "with the very score, which 32 bits make a little less": ([done(CELEBRITIES)], [verdict(0.9)], True),
        "less sure": ([done(CELEBRITIES)], [verdict(0.89)], False),
        "by one with a bar of its own": ([done(CELEBRITIES)], [verdict(0.7, by="svm")], True),
        "by one behind a gateway with a bar of its own": ([done(CELEBRITIES)], [verdict(0.7, by="svm/knn")], True),
        "a probability, which has no bar of a recognizer's": (
            [done(CELEBRITIES)],
            [verdict(0.7, by="svm", basis=pb.VERDICT_BASIS_CALIBRATED)],
            False,
        ),
        "one of two faces": ([done(CELEBRITIES)], [verdict(), verdict(0, UNKNOWN)], False),
        "disagreement": ([done(CELEBRITIES)], [verdict(0, pb.VERDICT_STATE_DISAGREE)], False),
        "no face": ([done(CELEBRITIES)], [verdict(0, pb.VERDICT_STATE_NO_FACE)], False),
        "nobody looked": ([done(LABELS)], [], False),
        "a feature not performed": ([done(LABELS)], [verdict()], False),
        "a feature of one that failed": ([done(CELEBRITIES, outcome=pb.OUTCOME_ERROR)], [verdict()], False),
        "a feature of one that did a part": ([done(CELEBRITIES, outcome=pb.OUTCOME_PARTIAL)], [verdict()], True),
    }.values(),
)
def test_sure_is_every_feature_and_every_face(
    results: list[pb.RecognizerResult], verdicts: list[pb.Verdict], *, is_sure: bool
) -> None:
    """Results are sure once every feature was performed and every face, one at least, is identified confidently."""
    assert BAR.is_reached(results, verdicts) is is_sure


RESULTS = st.lists(
    st.builds(lambda features, outcome: done(*features, outcome=outcome), st.sets(st.integers(1, 4)), st.integers(1, 6))
)
VERDICTS = st.lists(
    st.builds(
        verdict,
        st.floats(0, 1, width=32),
        st.sampled_from(pb.VerdictState.values()),
        st.sampled_from(["svm", "rekognition", "region/svm"]),
        st.sampled_from(pb.VerdictBasis.values()),
    ),
    max_size=4,
)


@given(RESULTS, VERDICTS, st.sets(st.integers(1, 4)), st.floats(0.01, 1), st.data())
def test_order_never_matters(
    results: list[pb.RecognizerResult],
    verdicts: list[pb.Verdict],
    features: set[int],
    score: float,
    data: st.DataObject,
) -> None:
    """Property: the order of results and verdicts changes nothing, and a lower bar never makes anything less sure."""
    bar = Bar(frozenset(features), score, {"svm": 0.5})
    is_sure = bar.is_reached(results, verdicts)
    assert bar.is_reached(data.draw(st.permutations(results)), data.draw(st.permutations(verdicts))) is is_sure
    assert Bar(frozenset(features), score / 2, {"svm": 0.2}).is_reached(results, verdicts) or not is_sure
    if is_sure:
        assert verdicts
        assert {one.state for one in verdicts} == {IDENTIFIED}


def label(name: str = "Non-Celebrity", score: float = 0.95) -> list[pb.Label]:
    return [pb.Label(name=name, score=score)]


@pytest.mark.parametrize(
    ("result", "holds"),
    {
        "its label": (done(LABELS, name="keras", labels=label()), True),
        "in other letters": (done(LABELS, name="keras", labels=label("non-celebrity")), True),
        "with the very score": (done(LABELS, name="keras", labels=label(score=0.9)), True),
        "one behind the gateway of that name": (done(LABELS, name="keras/a", labels=label()), True),
        "a low score": (done(LABELS, name="keras", labels=label(score=0.89)), False),
        "another label": (done(LABELS, name="keras", labels=label("Celebrity")), False),
        "somebody else's label": (done(LABELS, name="svm", labels=label()), False),
        "a failure": (done(LABELS, name="keras", labels=label(), outcome=pb.OUTCOME_ERROR), False),
    }.values(),
)
def test_a_veto_is_a_label_of_its_recognizer(result: pb.RecognizerResult, *, holds: bool) -> None:
    """A veto holds if its recognizer's result has its label with its score at least, and says so in words."""
    assert veto.reason_of(VETO, [done(CELEBRITIES), result]) == ("keras says Non-Celebrity" if holds else "")


@pytest.mark.parametrize(
    ("how", "features", "members", "is_asked"),
    {
        "a cascade": (pb.POLICY_CASCADE, {CELEBRITIES}, MEMBERS, True),
        "another policy": (pb.POLICY_FIRST_CONFIDENT, {CELEBRITIES}, MEMBERS, False),
        "labels are asked for": (pb.POLICY_CASCADE, {CELEBRITIES, LABELS}, MEMBERS, False),
        "its recognizer is not asked": (pb.POLICY_CASCADE, {CELEBRITIES}, MEMBERS[1:], False),
        "nothing after it costs money": (pb.POLICY_CASCADE, {CELEBRITIES}, MEMBERS[:2], False),
        "what costs money comes before": (pb.POLICY_CASCADE, {CELEBRITIES}, MEMBERS[::-1], False),
        "what costs money is required": (
            pb.POLICY_CASCADE,
            {CELEBRITIES},
            (MEMBERS[0], MEMBERS[2]._replace(is_required=True)),
            False,
        ),
    }.values(),
)
def test_a_veto_is_asked_for_where_it_may_save(
    how: pb.Policy.ValueType, features: set[int], members: tuple[Member, ...], *, is_asked: bool
) -> None:
    """The veto's recognizer is asked for LABELS in a cascade for CELEBRITIES alone that may come to a paid call."""
    assert veto.is_asked(VETO, how, features, members) is is_asked


def left_out(result: pb.RecognizerResult) -> tuple[str, Iterable[int], int, int]:
    veto.leave_out_labels(result)
    outcome = pb.Outcome.Name(result.outcome).removeprefix("OUTCOME_")
    return outcome, list(result.performed_features), len(result.labels), len(result.feature_errors)


def test_what_was_not_asked_for_is_left_out() -> None:
    """Of the labels that only the veto wanted nothing remains: not they, not their feature, and not their failure."""
    error = pb.FeatureError(feature=LABELS)
    assert left_out(done(CELEBRITIES, LABELS, labels=label())) == ("OK", [CELEBRITIES], 0, 0)
    assert left_out(done(LABELS, labels=label(), cost_micro_usd=3)) == ("SKIPPED", [], 0, 0)
    assert left_out(done(CELEBRITIES, feature_errors=[error], outcome=pb.OUTCOME_PARTIAL)) == (
        "OK",
        [CELEBRITIES],
        0,
        0,
    )
    other = pb.FeatureError(feature=CELEBRITIES)
    assert left_out(done(LABELS, feature_errors=[other], outcome=pb.OUTCOME_PARTIAL)) == ("PARTIAL", [], 0, 1)
    assert left_out(done(outcome=pb.OUTCOME_TIMEOUT)) == ("TIMEOUT", [], 0, 0)
