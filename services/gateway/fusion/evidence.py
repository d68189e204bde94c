"""What recognizers' names for one person in a picture say together. Pure.

A candidate below the identify_score of its model is no vote: most strangers have one. Of recognizers of one evidence
group only the strongest vote counts.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.fusion.calibration import Calibration
from services.gateway.fusion.people import Person, are_one, people_of

NAMING = frozenset((pb.FEATURE_CELEBRITIES, pb.FEATURE_FACE_SEARCH))
"""Features that look for people: what answers one of them has to be in the table."""


class Vote(NamedTuple):
    """A recognizer's candidate who counts."""

    score: float
    recognizer: str
    candidate: pb.Candidate
    group: str
    """Evidence group; a recognizer without one is its own."""


class Finding(NamedTuple):
    """What votes say together."""

    state: pb.VerdictState.ValueType
    votes: Sequence[Vote]
    """The votes, best score first."""
    ratios: Sequence[float] = ()
    """The votes' log-likelihood ratios, if they are calibrated."""
    agreeing: Sequence[pb.Candidate] = ()
    """The candidates who made it IDENTIFIED, best score first."""
    score: float = 0.0


Judge = Callable[[Sequence[Vote]], Finding]


def votes_of(result: pb.RecognizerResult, candidates: Iterable[pb.Candidate]) -> list[Vote]:
    """Return the recognizer's votes for these of its candidates."""
    model, name = result.model, result.recognizer
    least, group = model.identify_score, model.evidence_group or name
    return [Vote(one.score, name, one, group) for one in candidates if one.score >= least]


def ranked(votes: Sequence[Vote]) -> Sequence[Vote]:
    """Return the votes, best score first; never in the order in which recognizers answered."""
    return sorted(votes, key=_rank) if len(votes) > 1 else votes


def basis_of(
    results: Iterable[pb.RecognizerResult], votes: Iterable[Vote], calibration: Calibration | None
) -> pb.VerdictBasis.ValueType:
    """Return what to judge the votes by: ratios only if the table is for all models that looked for people."""
    if calibration is None:
        return pb.VERDICT_BASIS_SCORES
    looked = (result for result in results if not NAMING.isdisjoint(result.performed_features))
    known = all(calibration.knows(result.recognizer, result.model) for result in looked)
    if known and all(calibration.curve(vote.recognizer, vote.candidate) for vote in votes):
        return pb.VERDICT_BASIS_CALIBRATED
    return pb.VERDICT_BASIS_STALE_CALIBRATION


def by_scores(votes: Sequence[Vote]) -> Finding:
    """Return who it is if no two groups name different people."""
    if not votes:
        return Finding(pb.VERDICT_STATE_UNKNOWN, votes)
    strongest: dict[str, pb.Candidate] = {}
    for vote in votes:
        strongest.setdefault(vote.group, vote.candidate)
    agreeing = list(strongest.values())
    if len(agreeing) > 1 and not are_one(agreeing):
        return Finding(pb.VERDICT_STATE_DISAGREE, votes)
    return Finding(pb.VERDICT_STATE_IDENTIFIED, votes, agreeing=agreeing, score=votes[0].score)


def by_ratios(calibration: Calibration, votes: Sequence[Vote]) -> Finding:
    """Return who it probably is, unless two groups are enough, each by itself, for different people.

    A vote whose score speaks for nobody is as good as none. The votes are ranked.
    """
    ratios = [calibration.ratio(vote.recognizer, vote.candidate) for vote in votes]
    strongest: dict[str, int] = {}
    for number, (ratio, vote) in enumerate(zip(ratios, votes, strict=True)):
        if ratio > (ratios[strongest[vote.group]] if vote.group in strongest else 0):
            strongest[vote.group] = number
    counted = sorted(strongest.values())
    candidates, counted_ratios = [votes[one].candidate for one in counted], [ratios[one] for one in counted]
    people = people_of(candidates)
    if _contradict(calibration, counted_ratios, people):
        return Finding(pb.VERDICT_STATE_DISAGREE, votes, ratios)
    person, probability = _likeliest(calibration, counted_ratios, people)
    if person is None or probability < calibration.threshold:
        return Finding(pb.VERDICT_STATE_UNKNOWN, votes, ratios)
    agreeing = [one for one, who in zip(candidates, people, strict=True) if person in who]
    return Finding(pb.VERDICT_STATE_IDENTIFIED, votes, ratios, agreeing, probability)


def _contradict(calibration: Calibration, ratios: Sequence[float], people: Sequence[frozenset[Person]]) -> bool:
    """Return whether those who are enough by themselves do not all mean one person."""
    if not people or frozenset.intersection(*people):  # quick, and nearly always so
        return False
    enough = [who for ratio, who in zip(ratios, people, strict=True) if calibration.suffices(ratio)]
    return bool(enough) and not frozenset.intersection(*enough)


def _likeliest(
    calibration: Calibration, ratios: Sequence[float], people: Sequence[frozenset[Person]]
) -> tuple[Person | None, float]:
    """Return the likeliest person and their probability; nobody if two are equally likely."""
    sums: dict[Person, float] = {}
    for ratio, who in zip(ratios, people, strict=True):
        for person in who:
            sums[person] = sums.get(person, 0) + ratio
    ranking = sorted(sums, key=lambda person: -sums[person])
    if not ranking or (len(ranking) > 1 and sums[ranking[0]] == sums[ranking[1]]):
        return None, 0.0
    best, *others = ranking
    return best, calibration.probability(sums[best], [sums[other] for other in others])


def _rank(vote: Vote) -> tuple[float, str, str, str, bool]:
    candidate = vote.candidate
    return -vote.score, vote.recognizer, candidate.person_id, candidate.display_name, candidate.enrolled
