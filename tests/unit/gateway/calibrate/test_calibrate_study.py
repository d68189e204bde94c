"""The study of what scores are worth."""

import random

import pytest

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.calibrate.study import Study, parts_of, study
from services.gateway.calibrate.trials import Subject, Trials, Voice, without_person
from services.gateway.evaluation.pictures import StudyError
from services.gateway.evaluation.verdicts import Rule
from tests.support.labelled import PEOPLE, answer, answers, good, said


def random_names(person: str, chance: random.Random) -> tuple[str, float]:
    """Name anybody, with any score."""
    del person
    return chance.choice(PEOPLE), chance.random()


@pytest.fixture(scope="module")
def done() -> Study:
    return study(answers({"good": good, "random": random_names}), Rule())


def test_a_recognizer_that_guesses_is_worth_nothing(done: Study) -> None:
    """The names of a recognizer that guesses have ratios of nearly 0, whatever their scores."""
    curve = done.table.recognizers["random"].trained
    assert curve is not None
    assert curve.ratio(0.99) < 0.5


def test_a_good_recognizer_is_worth_something(done: Study) -> None:
    """The names of a recognizer that names known people with higher scores than strangers count."""
    curve = done.table.recognizers["good"].trained
    assert curve is not None
    assert curve.ratio(0.95) > 2
    assert curve.ratio(0.95) > curve.ratio(0.6)


def test_the_fusion_is_measured_beside_its_recognizers(done: Study) -> None:
    """The fusion by tables makes fewer wrong names than by scores, and its ratios mislead less than saying nothing."""
    assert done.best == "good"
    assert done.fusion.wrong < done.by_scores.wrong
    assert done.fusion.cllr is not None
    assert done.fusion.cllr < 1
    assert [one.name for one in done.recognizers] == ["good", "random"]


def test_what_evidence_is_worth_does_not_depend_on_the_prior(done: Study) -> None:
    """Whom an operator expects changes who is named, and not what the fusion's ratios cost."""
    for prior in (0.01, 0.99):
        other = study(answers({"good": good, "random": random_names}), Rule(prior_unknown=prior))
        assert other.fusion.cllr == done.fusion.cllr
        assert other.fusion.reliability == done.fusion.reliability


def test_a_wrong_name_beside_the_right_one_counts() -> None:
    """Where a recognizer names somebody else in each whole picture, half of the names at least are wrong."""
    people = answers({"good": good, "other": lambda *_: ("", 0)})
    before = study(people, Rule()).by_scores.wrong
    for one in people:
        one.response.results[1].image_candidates.add(person_id="eve", display_name="Eve", score=0.9)
    assert study(people, Rule()).by_scores.wrong > max(before, 0.5)


def test_known_people_and_strangers_weigh_the_same(done: Study) -> None:
    """Reliability is that of names if every second face were known: both weigh 1, those without a name included."""
    parts = done.fusion.reliability
    assert sum(weight for *_, weight in parts) <= 2
    assert sum(right * weight for _, right, weight in parts) == pytest.approx(done.fusion.identified)


def test_known_people_stand_in_for_strangers() -> None:
    """Without strangers, each known person is one whose name is taken out of the answers."""
    done = study([one for one in answers({"good": good}) if one.person], Rule())
    assert done.leaves_out
    assert (done.known, done.strangers) == (80, 80)


def test_a_person_is_taken_out_of_all_results() -> None:
    """Of faces and whole pictures, the candidates who are the person go, and the others stay."""
    result = said("a", PEOPLE[0])
    result.faces[0].candidates.add(display_name=PEOPLE[1], score=0.1)
    result.image_candidates.add(display_name=PEOPLE[0], score=0.8)
    (rest,) = without_person(answer(PEOPLE[0], 1, [result])).results
    assert [one.display_name for one in rest.faces[0].candidates] == [PEOPLE[1]]
    assert not rest.image_candidates


def test_a_wrong_name_is_a_trial_of_each_person() -> None:
    """A known person taken for another was missed, and somebody who is not in the picture was named."""
    subject = Subject([answer(PEOPLE[0], 1, [said("a", PEOPLE[1])])])
    trials = Trials.of(subject, Voice.of(subject, "a"))
    assert trials.targets.tolist() == [True, False]
    assert trials.named.tolist() == [False, True]


def test_trained_and_enrolled_people_have_curves_of_their_own() -> None:
    """A table has a curve for the kinds of people who were named, and none for others."""
    people = answers({"good": good})
    assert study(people, Rule()).table.recognizers["good"].enrolled is None
    for one in people:
        for candidate in one.response.results[0].faces[0].candidates:
            candidate.enrolled = candidate.display_name == PEOPLE[1]
    curves = study(people, Rule()).table.recognizers["good"]
    assert curves.trained is not None
    assert curves.enrolled is not None
    assert curves.trained != curves.enrolled


def test_a_moment_is_in_one_part() -> None:
    """Near-duplicates are never in both the fitted and the measured part."""
    groups = ["a", "b", "a", "c", "b", "a"]
    parts = parts_of(groups)
    assert all(len({part for part, group in zip(parts, groups, strict=True) if group == one}) == 1 for one in "abc")


def test_a_model_that_changes_is_noticed() -> None:
    """Answers of two versions of a model make no table; the gallery's state is no version."""
    people = answers({"good": good})
    people[0].response.results[0].model.version = "1+gallery"
    study(people, Rule())
    people[0].response.results[0].model.version = "2"
    with pytest.raises(StudyError, match="good changed"):
        study(people, Rule())


def test_too_little_is_refused() -> None:
    """A handful of pictures says nothing."""
    with pytest.raises(StudyError, match="5 moments of strangers; 10 are needed"):
        study(answers({"good": good}, 5), Rule())


def test_recognizers_that_look_for_nobody_have_no_curves() -> None:
    """A recognizer that performs labels alone is in no table; without any other there is none."""
    labels = pb.RecognizerResult(recognizer="l", outcome=pb.OUTCOME_OK, performed_features=[pb.FEATURE_LABELS])
    people = [answer(person, number, [labels]) for person in (*PEOPLE, "") for number in range(20)]
    with pytest.raises(StudyError, match="No recognizer"):
        study(people, Rule())
