"""Calls played again by other policies."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.config import Veto
from services.gateway.evaluation.verdicts import Rule
from services.gateway.policy_report.curve import curve
from services.gateway.policy_report.replay import Operation, members_of, play, prices_of
from tests.support.labelled import PEOPLE, answer, answers, good, said

ADA, GRACE = PEOPLE
CASCADE, FIRST, ALL = pb.POLICY_CASCADE, pb.POLICY_FIRST_CONFIDENT, pb.POLICY_ALL
PRICE = 1000


def operation(veto: Veto | None = None, **scores: float) -> Operation:
    """Return a gateway with a free recognizer before a paid one."""
    paid = pb.Recognizer(name="paid")
    paid.prices.add(feature=pb.FEATURE_CELEBRITIES, micro_usd=PRICE)
    listed = [pb.Recognizer(name="free"), paid]
    return Operation(members_of(listed), prices_of(listed), Rule(), scores, veto)


def results(
    free: tuple[str, float], paid: tuple[str, float], milliseconds: Mapping[str, int] | None = None
) -> list[pb.RecognizerResult]:
    """Return what both say, after so many milliseconds."""
    both = [said("free", *free), said("paid", *paid)]
    both[1].cost_micro_usd = PRICE
    for result in both:
        result.timings.recognizer.FromMilliseconds((milliseconds or {}).get(result.recognizer, 10))
    return both


def test_a_cascade_stops_where_it_is_sure() -> None:
    """A confident name of the free recognizer saves the paid call; an unsure one does not."""
    sure = play(results((ADA, 0.95), (ADA, 0.99)), CASCADE, 0.9, operation())
    assert (sure.calls, sure.micro_usd, sure.verdicts[0].score) == (1, 0, pytest.approx(0.95))
    unsure = play(results((ADA, 0.8), (ADA, 0.99)), CASCADE, 0.9, operation())
    assert (unsure.calls, unsure.micro_usd, unsure.verdicts[0].score) == (2, PRICE, pytest.approx(0.99))


def test_a_cascade_takes_its_calls_one_after_another() -> None:
    """The time of a cascade is the sum of its calls', that of ALL the longest."""
    both = results((ADA, 0.8), (ADA, 0.99), {"free": 10, "paid": 40})
    assert play(both, CASCADE, 0.9, operation()).seconds == pytest.approx(0.05)
    assert play(both, ALL, 0.9, operation()).seconds == pytest.approx(0.04)


def test_what_is_cancelled_is_paid() -> None:
    """FIRST_CONFIDENT ends with the first sure answer, and pays for the call that it cancels."""
    both = results((ADA, 0.95), (GRACE, 0.99), {"free": 10, "paid": 40})
    played = play(both, FIRST, 0.9, operation())
    assert (played.calls, played.micro_usd, played.seconds) == (2, PRICE, pytest.approx(0.01))
    assert played.verdicts[0].display_name == ADA


def test_a_recognizer_may_have_a_confident_score_of_its_own() -> None:
    """A recognizer's own score holds for its names instead of that of all."""
    both = results((ADA, 0.7), (ADA, 0.99))
    assert play(both, CASCADE, 0.9, operation(free=0.6)).calls == 1


def test_a_veto_saves_the_paid_call() -> None:
    """The veto's label ends a cascade before a call that costs money."""
    both = results(("", 0), (ADA, 0.99))
    both[0].labels.add(name="Non-Celebrity", score=0.95)
    assert play(both, CASCADE, 0.9, operation(Veto(recognizer="free", label="Non-Celebrity"))).micro_usd == 0


def test_recognizers_behind_a_gateway_answer_together() -> None:
    """The results of one configured recognizer, a gateway, are heard at once, and its prices add up."""
    listed = [pb.Recognizer(name="inner/a"), pb.Recognizer(name="inner/b")]
    for one in listed:
        one.prices.add(feature=pb.FEATURE_CELEBRITIES, micro_usd=PRICE)
    assert prices_of(listed) == {"inner": 2 * PRICE}
    played = play(
        [said("inner/a", ADA), said("inner/b", GRACE)], ALL, 0.9, Operation(members_of(listed), {}, Rule(), {})
    )
    assert (played.calls, played.verdicts[0].state) == (1, pb.VERDICT_STATE_DISAGREE)


SAYS = st.tuples(st.sampled_from(["", *PEOPLE]), st.floats(0.0625, 1, width=32))


@given(SAYS, SAYS, st.floats(0.01, 1))
def test_no_policy_costs_more_than_all(free: tuple[str, float], paid: tuple[str, float], score: float) -> None:
    """Whatever recognizers say, no policy asks or pays for more than ALL does."""
    both = results(free, paid)
    everything = play(both, ALL, score, operation())
    for policy in (FIRST, CASCADE):
        played = play(both, policy, score, operation())
        assert played.calls <= everything.calls
        assert played.micro_usd <= everything.micro_usd


def test_the_curve_rises_with_the_confident_score() -> None:
    """A cascade with a higher confident score asks more often and costs no less; ALL gives its own names."""
    people = answers({"free": good, "paid": good})
    for one in people:
        one.response.results[1].cost_micro_usd = PRICE
    points = curve(people, operation())
    cascade = [point for point in points if point.policy == CASCADE]
    assert [point.dollars for point in cascade] == sorted(point.dollars for point in cascade)
    assert cascade[0].dollars < points[0].dollars == pytest.approx(1)
    assert points[0].equal == 1
    assert (points[0].policy, points[0].score) == (ALL, None)


def test_a_wrong_name_beside_the_right_one_counts() -> None:
    """Whoever is named without a box is a name, too: in a picture of Ada with both names, half of them are wrong."""
    beside = said("paid", "")
    beside.image_candidates.add(person_id="grace", display_name=GRACE, score=0.9)
    everything = curve([answer(ADA, 1, [said("free", ADA), beside])], operation())[0]
    assert (everything.identified, everything.wrong) == (1, 0.5)


def test_errors_are_misses_and_named_strangers() -> None:
    """A known person who is not identified is an error, and a stranger who is."""
    people = [
        answer(ADA, 1, results((ADA, 0.9), (ADA, 0.9))),
        answer(ADA, 2, results(("", 0), ("", 0))),
        answer("", 3, results((ADA, 0.9), ("", 0))),
        answer("", 4, results(("", 0), ("", 0))),
    ]
    everything = curve(people, operation())[0]
    assert (everything.errors, everything.identified, everything.strangers_named) == (0.5, 0.5, 0.5)
    assert everything.wrong == 0.5
