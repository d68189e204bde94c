"""What holds for all verdicts, whatever recognizers find."""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.fusion.assignment import assign
from services.gateway.fusion.calibration import Calibration, Curve, ModelCurves, Table
from services.gateway.fusion.verdict import Rules, verdicts
from tests.support.servers import LEFT, box, result

RECOGNIZERS = ("aws", "keras", "region/svm", "svm")
CURVES = {name: Curve(slope=slope, intercept=0.5, most=6) for slope, name in enumerate(RECOGNIZERS, 1)}
TABLE = Table(
    recognizers={
        name: ModelCurves(model="m", version="1", trained=curve, enrolled=curve) for name, curve in CURVES.items()
    }
)
CALIBRATED = Calibration(TABLE)
RULES = st.sampled_from(
    [Rules(), Rules(CALIBRATED), Rules(Calibration(TABLE, prior_unknown=0.9), repeated_people=True)]
)
GRID = st.sampled_from([0.1, 0.15, 0.2, 0.6])
BOXES = st.builds(pb.BoundingBox, left=GRID, top=GRID, width=st.sampled_from([0.1, 0.2]), height=st.just(0.2))
CANDIDATES = st.builds(
    pb.Candidate,
    person_id=st.sampled_from(["1", "2", "3"]),
    display_name=st.sampled_from(["Ada", "ada", "Bob"]),
    score=st.sampled_from([0.3, 0.5, 0.8, 1.0]),
    enrolled=st.booleans(),
)
FACES = st.builds(pb.Face, box=BOXES, candidates=st.lists(CANDIDATES, max_size=3))


def results_of(faces: st.SearchStrategy[pb.Face]) -> st.SearchStrategy[list[pb.RecognizerResult]]:
    """Return results of different recognizers."""
    one = st.builds(
        result,
        st.sampled_from(RECOGNIZERS),
        faces=st.lists(faces, max_size=4),
        image_candidates=st.lists(CANDIDATES, max_size=3),
        model=st.builds(
            pb.Model,
            name=st.just("m"),
            version=st.sampled_from(["1", "1+7"]),
            evidence_group=st.sampled_from(["", "dlib"]),
            identify_score=st.just(0.5),
        ),
    )
    return st.lists(one, max_size=4, unique_by=lambda one: one.recognizer)


def shuffled(results: Sequence[pb.RecognizerResult], shuffle: Callable[[Any], list[Any]]) -> list[pb.RecognizerResult]:
    """Return copies of the results in another order, as are their faces and candidates."""
    copies = []
    for one in shuffle(results):
        copy = pb.RecognizerResult()
        copy.CopyFrom(one)
        del copy.faces[:]
        for face in shuffle(one.faces):
            copy.faces.add(box=face.box, candidates=shuffle(face.candidates))
        del copy.image_candidates[:]
        copy.image_candidates.extend(shuffle(one.image_candidates))
        copies.append(copy)
    return copies


@given(results_of(FACES), RULES, st.randoms(use_true_random=False))
def test_order_never_matters(results: list[pb.RecognizerResult], rules: Rules, random: Any) -> None:
    """The order of results, faces and candidates changes no verdict, and not the verdicts' order."""
    other = shuffled(results, lambda items: random.sample(list(items), len(items)))
    assert verdicts(other, rules) == verdicts(results, rules)


@given(results_of(FACES), RULES)
def test_every_face_has_one_verdict(results: list[pb.RecognizerResult], rules: Rules) -> None:
    """There are at least as many verdicts as one recognizer has faces, and at most as many as all have."""
    counts = [len(one.faces) for one in results]
    boxes = sum(verdict.HasField("box") for verdict in verdicts(results, rules))
    assert max(counts, default=0) <= boxes <= sum(counts)


@pytest.mark.parametrize("enrolled", [True, False])
@given(results=results_of(FACES), calibration=st.sampled_from([None, CALIBRATED]))
def test_a_person_is_named_once(
    results: list[pb.RecognizerResult], calibration: Calibration | None, *, enrolled: bool
) -> None:
    """No two verdicts of a picture name one person, and nobody is lost who is named where people may be repeated."""
    for one in results:
        for candidate in (*one.image_candidates, *(each for face in one.faces for each in face.candidates)):
            candidate.enrolled = enrolled

    def named(*, repeated: bool) -> list[pb.Verdict]:
        each = verdicts(results, Rules(calibration, repeated))
        return [one for one in each if one.state == pb.VERDICT_STATE_IDENTIFIED]

    def same(one: pb.Verdict, other: pb.Verdict) -> bool:
        by_name = not enrolled and one.display_name.lower() == other.display_name.lower()
        return one.person_id == other.person_id or by_name

    once = named(repeated=False)
    assert not any(same(one, other) for one, other in combinations(once, 2))
    if enrolled:
        assert {one.person_id for one in once} == {one.person_id for one in named(repeated=True)}


@given(
    st.lists(st.tuples(CANDIDATES, st.sampled_from(["", "dlib"])), min_size=1, max_size=3),
    st.sampled_from([0.5, 0.8, 1.0]),
    st.sampled_from([None, CALIBRATED]),
)
def test_an_agreeing_vote_never_lowers_the_score(
    votes: list[tuple[pb.Candidate, str]], score: float, calibration: Calibration | None
) -> None:
    """Another recognizer, of a network of its own, that names the same person leaves the name and no lower score."""

    def face(recognizer: str, candidate: pb.Candidate, group: str) -> pb.RecognizerResult:
        model = pb.Model(name="m", version="1", evidence_group=group, identify_score=0.5)
        return result(recognizer, pb.Face(box=box(LEFT), candidates=[candidate]), model=model)

    results = [face(name, *vote) for name, vote in zip(RECOGNIZERS, votes, strict=False)]
    (before,) = verdicts(results, Rules(calibration))
    if before.state != pb.VERDICT_STATE_IDENTIFIED:
        return
    same = next(one.candidate for one in before.support if one.candidate.person_id == before.person_id)
    agreeing = pb.Candidate(
        person_id=same.person_id, display_name=same.display_name, enrolled=same.enrolled, score=score
    )
    (after,) = verdicts([*results, face(RECOGNIZERS[-1], agreeing, "own")], Rules(calibration))
    assert (after.state, after.score >= before.score) == (pb.VERDICT_STATE_IDENTIFIED, True)


@given(st.lists(st.dictionaries(st.integers(0, 5), st.sampled_from([0.3, 0.4, 0.5, 0.9]), max_size=4), max_size=5))
def test_the_assignment_is_the_best(rows: list[dict[int, float]]) -> None:
    """Of all ways to pair rows and columns, the one with the highest sum is found."""

    def best(left: Sequence[dict[int, float]], taken: frozenset[int]) -> float:
        if not left:
            return 0
        pairs = ((column, weight) for column, weight in left[0].items() if column not in taken)
        return max([best(left[1:], taken), *(weight + best(left[1:], taken | {column}) for column, weight in pairs)])

    columns = assign(rows)
    taken = [column for column in columns if column is not None]
    assert len(set(taken)) == len(taken)
    total = sum(row[column] for row, column in zip(rows, columns, strict=True) if column is not None)
    assert total == pytest.approx(best(rows, frozenset()))


@given(st.integers(9, 30))
def test_a_large_tangle_is_assigned_too(size: int) -> None:
    """Where more faces than in any real picture lie on each other, each still has a place of its own."""
    assert set(assign([dict.fromkeys(range(size), 0.5)] * size)) == set(range(size))
