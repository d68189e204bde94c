"""The course of a call under each policy, apart from any call."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.policy.course import INCOMPLETE, POLICIES, SURE, Course, Member, Step

FREE, PAID = Member("svm"), Member("rekognition", is_paid=True)
OTHER = Member("keras")
MEMBERS = st.lists(
    st.builds(Member, st.sampled_from("abcdefgh"), st.booleans(), st.booleans()), max_size=6, unique_by=lambda m: m.name
)
CONFIDENT, CASCADE = pb.POLICY_FIRST_CONFIDENT, pb.POLICY_CASCADE


def run(
    course: Course, first: Step, choose: Callable[[Sequence[str]], str], judge: Callable[[], bool], veto: str = ""
) -> dict[str, str]:
    """Follow the course to its end; return what became of each recognizer."""
    fates: dict[str, str] = {}
    pending: list[str] = []
    step = first
    while True:
        pending += step.ask
        for name in step.cancel:
            pending.remove(name)
        fates |= dict.fromkeys(step.cancel, "cancelled") | dict.fromkeys(step.skip, "skipped")
        step = Step()
        if pending:
            name = choose(pending)
            pending.remove(name)
            assert name not in fates
            fates[name] = "answered"
            course.hear(name)
        if course.is_open:
            step = course.go_on(is_sure=judge(), veto=veto)
        elif not pending:
            return fates


@given(st.sampled_from((pb.POLICY_UNSPECIFIED, *POLICIES)), MEMBERS, st.data())
def test_each_is_asked_once_at_most_and_has_one_fate(
    policy: pb.Policy.ValueType, members: list[Member], data: st.DataObject
) -> None:
    """Property: whoever answers first, whatever is sure, each recognizer ends once, and the required ones answer."""
    cached = data.draw(st.sets(st.sampled_from("abcdefgh")))
    veto = data.draw(st.sampled_from(["", "no face"]))
    course = Course(policy, members)
    fates = run(
        course,
        course.begin(cached),
        lambda pending: data.draw(st.sampled_from(pending)),
        lambda: data.draw(st.booleans()),
        veto,
    )
    assert fates.keys() == {member.name for member in members}
    assert {fates[member.name] for member in members if member.is_required} <= {"answered"}
    assert not course.awaits_required
    if policy in (pb.POLICY_ALL, pb.POLICY_UNSPECIFIED):
        assert set(fates.values()) <= {"answered"}


@given(st.sampled_from((CONFIDENT, CASCADE)), MEMBERS, st.data())
def test_all_are_asked_while_nothing_is_sure(
    policy: pb.Policy.ValueType, members: list[Member], data: st.DataObject
) -> None:
    """Property: without a sure answer or a veto, every policy asks everybody."""
    course = Course(policy, members)
    first = course.begin(data.draw(st.sets(st.sampled_from("abcdefgh"))))
    fates = run(course, first, lambda pending: data.draw(st.sampled_from(pending)), lambda: False)
    assert fates == {member.name: "answered" for member in members}


def test_all_at_once() -> None:
    """ALL, and what a caller who says nothing gets, asks everybody at once and never asks how sure it is."""
    for policy in (pb.POLICY_ALL, pb.POLICY_UNSPECIFIED):
        course = Course(policy, [FREE, PAID])
        assert course.begin() == Step(ask=["svm", "rekognition"])
        assert not course.is_open


def test_first_confident_cancels_the_rest() -> None:
    """FIRST_CONFIDENT asks everybody at once and cancels those who have not answered once the answer is sure."""
    course = Course(CONFIDENT, [FREE, PAID])
    assert course.begin() == Step(ask=["svm", "rekognition"])
    course.hear("svm")
    assert course.is_open
    assert course.go_on(is_sure=False) == Step()
    assert course.go_on(is_sure=True) == Step(ask=[], cancel=["rekognition"], skip=[], reason=SURE)
    assert not course.is_open


def test_first_confident_hears_the_cache_first() -> None:
    """FIRST_CONFIDENT asks nobody whose answer costs something before it has heard what is cached."""
    course = Course(CONFIDENT, [FREE, OTHER, PAID])
    assert course.begin({"keras"}) == Step(ask=["keras"])
    course.hear("keras")
    assert course.go_on(is_sure=False) == Step(ask=["svm", "rekognition"])


def test_a_cascade_asks_in_the_configured_order() -> None:
    """CASCADE asks the next recognizer once the one before has answered, and nobody once the answer is sure."""
    course = Course(CASCADE, [FREE, OTHER, PAID])
    assert course.begin() == Step(ask=["svm"])
    assert not course.is_open
    course.hear("svm")
    assert course.go_on(is_sure=False) == Step(ask=["keras"])
    course.hear("keras")
    assert course.go_on(is_sure=True) == Step(ask=[], cancel=[], skip=["rekognition"], reason=SURE)


def test_a_cascade_begins_with_the_required() -> None:
    """Those that are required are asked in any case, so a cascade asks them first and all at once."""
    course = Course(CASCADE, [FREE, OTHER._replace(is_required=True), PAID._replace(is_required=True)])
    assert course.begin() == Step(ask=["keras", "rekognition"])


@pytest.mark.parametrize(("following", "is_over"), [(PAID, True), (OTHER, False)])
def test_a_veto_holds_before_a_paid_call(following: Member, *, is_over: bool) -> None:
    """A veto ends a cascade before a call that costs money, but not before one that is free."""
    course = Course(CASCADE, [FREE, following])
    course.begin()
    course.hear("svm")
    step = course.go_on(is_sure=False, veto="svm says no")
    assert (list(step.skip), list(step.ask)) == (([following.name], []) if is_over else ([], [following.name]))


def test_ends_early_if_a_required_one_is_missing() -> None:
    """Once all that are required have answered, a call that fails anyway waits for nobody."""
    course = Course(pb.POLICY_ALL, [FREE._replace(is_required=True), PAID])
    course.begin()
    course.hear("svm")
    assert not course.awaits_required
    assert course.end(INCOMPLETE) == Step([], ["rekognition"], [], INCOMPLETE)
