"""One verdict a face and one list of labels, made of what all recognizers found. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.fusion import evidence, faces
from services.gateway.fusion.calibration import Calibration
from services.gateway.fusion.evidence import Finding, Judge, Vote
from services.gateway.fusion.people import Person, people_of
from services.runtime.requests import FACE_FEATURES

VALID = frozenset((pb.OUTCOME_OK, pb.OUTCOME_PARTIAL))


@dataclass(frozen=True)
class Rules:
    """What an operator decides about verdicts: how they are made, and which are sure."""

    calibration: Calibration | None = None
    repeated_people: bool = False
    """Whether one person may be named for several faces of a picture."""
    confident_score: float = 0.9
    """Score, or where it is calibrated probability, from which a policy is sure of a name."""
    confident_scores: Mapping[str, float] = field(default_factory=dict)
    """Those of recognizers with one of their own."""


_DEFAULTS = Rules()


def verdicts(results: Iterable[pb.RecognizerResult], rules: Rules = _DEFAULTS) -> list[pb.Verdict]:
    """Return one verdict per face, from left to right, then those of people without a box, best score first.

    A single NO_FACE if recognizers looked for faces and none found any, UNKNOWN if all that they saw are people without
    a box whom they are not sure of; nothing if none looked. The order of the results, and of what is in them, changes
    nothing.
    """
    valid = [result for result in results if result.outcome in VALID]
    places = faces.places(valid)
    ballots = [_votes_on(place) for place in places]
    boxless = [one for one in valid if one.image_candidates]
    others = evidence.ranked([vote for one in boxless for vote in evidence.votes_of(one, one.image_candidates)])
    basis = evidence.basis_of(valid, chain(others, *ballots), rules.calibration)
    judge = evidence.by_scores
    if rules.calibration and basis == pb.VERDICT_BASIS_CALIBRATED:
        judge = partial(evidence.by_ratios, rules.calibration)
    findings = [judge(votes) for votes in ballots]
    if not rules.repeated_people:
        findings = _each_person_once(findings)
    verdicts = [_verdict(one, basis, _box(place, one)) for place, one in zip(places, findings, strict=True)]
    verdicts.sort(key=lambda verdict: (verdict.box.left, verdict.box.top))
    verdicts += [_verdict(one, basis) for one in _without_box(others, ballots, judge)]
    if not verdicts and boxless:
        return [pb.Verdict(state=pb.VERDICT_STATE_UNKNOWN, basis=basis)]
    if not verdicts and any(FACE_FEATURES.intersection(result.performed_features) for result in valid):
        return [pb.Verdict(state=pb.VERDICT_STATE_NO_FACE)]
    return verdicts


def merge_labels(results: Iterable[pb.RecognizerResult], max_labels: int) -> list[pb.Label]:
    """Return the labels of all valid results, each name once with its best score, best first."""
    merged: dict[str, pb.Label] = {}
    labels = [label for result in results if result.outcome in VALID for label in result.labels]
    for label in sorted(labels, key=lambda label: -label.score):
        merged.setdefault(label.name.casefold(), label)
    return list(merged.values())[:max_labels]


def _votes_on(place: faces.Place) -> Sequence[Vote]:
    """Return each recognizer's vote on the face, its best candidate; best score first."""
    votes = [evidence.votes_of(one.result, one.face.candidates) for one in place]
    return evidence.ranked([evidence.ranked(each)[0] for each in votes if each])


def _box(place: faces.Place, finding: Finding) -> pb.BoundingBox:
    """Return the box of the best vote, of the surest detection if there is none."""
    if not finding.votes:
        return faces.box_of(place)
    best = finding.votes[0].recognizer
    return next(one.face.box for one in place if one.result.recognizer == best)


def _verdict(finding: Finding, basis: pb.VerdictBasis.ValueType, box: pb.BoundingBox | None = None) -> pb.Verdict:
    verdict = pb.Verdict(state=finding.state, basis=basis)
    if box is not None:
        verdict.box.CopyFrom(box)
    if finding.agreeing:
        person = finding.agreeing[0]
        verdict.person_id, verdict.display_name, verdict.score = person.person_id, person.display_name, finding.score
    ratios: Sequence[float | None] = finding.ratios or [None] * len(finding.votes)
    for vote, ratio in zip(finding.votes, ratios, strict=True):
        support = verdict.support.add(recognizer=vote.recognizer, evidence_group=vote.group, log_likelihood_ratio=ratio)
        support.candidate.CopyFrom(vote.candidate)
    return verdict


def _each_person_once(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings with every person IDENTIFIED in one of them at most, the best; others are UNKNOWN.

    A name that fits two enrolled people of the picture is theirs before it is somebody else's.
    """
    identified = [number for number, one in enumerate(findings) if one.agreeing]
    if len(identified) < 2:  # noqa: PLR2004 - one person cannot be there twice
        return list(findings)
    people = _people_in([findings[number] for number in identified])
    order = sorted(range(len(identified)), key=lambda one: (len(people[one]), -findings[identified[one]].score))
    once, taken = list(findings), set[Person]()
    for one in order:
        if not taken.isdisjoint(people[one]):
            finding = findings[identified[one]]
            once[identified[one]] = Finding(pb.VERDICT_STATE_UNKNOWN, finding.votes, finding.ratios)
        taken |= people[one]
    return once


def _people_in(findings: Sequence[Finding]) -> list[frozenset[Person]]:
    """Return whom each finding may mean, where all of them are known."""
    people = iter(people_of([one for finding in findings for one in finding.agreeing]))
    each = [[next(people) for _ in finding.agreeing] for finding in findings]
    return [frozenset.intersection(*one) or frozenset.union(*one) for one in each]


def _without_box(votes: Sequence[Vote], ballots: Iterable[Sequence[Vote]], judge: Judge) -> list[Finding]:
    """Return a finding for each person who was recognized in the whole picture and in no face, best score first."""
    if not votes:
        return []
    in_faces = [vote.candidate for ballot in ballots for vote in ballot]
    people = people_of([*in_faces, *(vote.candidate for vote in votes)])
    seen = frozenset().union(*people[: len(in_faces)])
    ballots_of: dict[Person, dict[str, Vote]] = {}
    for vote, who in zip(votes, people[len(in_faces) :], strict=True):
        for person in () if seen & who else who:
            ballots_of.setdefault(person, {}).setdefault(vote.recognizer, vote)
    findings = [judge(list(ballot.values())) for ballot in ballots_of.values()]
    return sorted((one for one in findings if one.agreeing), key=lambda one: (-one.score, one.agreeing[0].person_id))
