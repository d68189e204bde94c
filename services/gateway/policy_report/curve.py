"""The curve: what each policy costs at each confident score, and what it gets wrong."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.evaluation.pictures import weights_of
from services.gateway.evaluation.survey import Answer
from services.gateway.evaluation.verdicts import counted, identified, named
from services.gateway.policy_report.replay import Operation, Played, play
from services.runtime.people import person_id_of
from services.runtime.requests import Policy

SCORES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Confident scores that are tried."""
_MICRO = 1_000_000
_THOUSAND = 1000


@dataclass(frozen=True)
class Point:
    """One policy at one confident score."""

    policy: Policy
    score: float | None
    """None: it makes no difference, all are asked."""
    dollars: float
    """For a thousand pictures."""
    dollars_share: float | None
    """Of what ALL costs; None: that is nothing."""
    calls: float
    """Recognizers asked, for a picture."""
    identified: float
    """Share of known people who are identified as who they are."""
    strangers_named: float | None
    """Share of strangers who get a name; None: there are none."""
    wrong: float
    """Share of wrong names among all names."""
    errors: float
    """Share of pictures whose known person is not identified, or whose stranger is."""
    equal: float
    """Share of pictures with the very names that ALL gives."""
    seconds: float
    """Median of what recognizers took, one after another or side by side."""


def curve(answers: Sequence[Answer], operation: Operation, scores: Sequence[float] = SCORES) -> list[Point]:
    """Return a point for ALL, and for each other policy one at each score."""
    everything = _played(answers, pb.POLICY_ALL, 1.0, operation)
    measure = _Measure(answers, everything)
    points = [measure.point(pb.POLICY_ALL, None, everything)]
    for policy in (pb.POLICY_FIRST_CONFIDENT, pb.POLICY_CASCADE):
        points += [measure.point(policy, score, _played(answers, policy, score, operation)) for score in scores]
    return points


class _Measure:
    def __init__(self, answers: Sequence[Answer], everything: Sequence[Played]) -> None:
        self._answers = answers
        self._weights = weights_of([answer.moment for answer in answers])
        self._names = [_names(played) for played in everything]
        self._dollars = self._dollars_of(everything)

    def point(self, policy: Policy, score: float | None, played: Sequence[Played]) -> Point:
        """Return the point of calls by a policy."""
        judged = [named(one.verdicts, answer.person) for one, answer in zip(played, self._answers, strict=True)]
        known = [bool(answer.person) for answer in self._answers]
        names = [verdict is not None for verdict, _ in judged]
        right = [is_right for _, is_right in judged]
        strangers_named = self._share(names, [not one for one in known])
        dollars = self._dollars_of(played)
        return Point(
            policy,
            score,
            dollars=dollars,
            dollars_share=dollars / self._dollars if self._dollars else None,
            calls=self._mean([one.calls for one in played]),
            identified=self._share(right, known) or 0.0,
            strangers_named=strangers_named,
            wrong=self._wrong(played),
            errors=self._mean([one != own for one, own in zip(_recognized(judged, known), known, strict=True)]),
            equal=self._mean([_names(one) == all_ for one, all_ in zip(played, self._names, strict=True)]),
            seconds=median(one.seconds for one in played),
        )

    def _dollars_of(self, played: Sequence[Played]) -> float:
        return self._mean([one.micro_usd for one in played]) * _THOUSAND / _MICRO

    def _wrong(self, played: Sequence[Played]) -> float:
        """Return the share of wrong names; there may be several in a picture, also beside the right one."""
        counts = [counted(one.verdicts, answer.person) for one, answer in zip(played, self._answers, strict=True)]
        names, wrong = (self._mean(one) for one in zip(*counts, strict=True))
        return wrong / names if names else 0.0

    def _mean(self, values: Sequence[float]) -> float:
        return sum(value * weight for value, weight in zip(values, self._weights, strict=True)) / sum(self._weights)

    def _share(self, flags: Sequence[bool], among: Sequence[bool]) -> float | None:
        """Return the share of some answers for which the flag holds; None if there are none."""
        total = sum(weight for weight, one in zip(self._weights, among, strict=True) if one)
        own = zip(self._weights, flags, among, strict=True)
        return sum(weight for weight, flag, one in own if flag and one) / total if total else None


def _recognized(judged: Iterable[tuple[pb.Verdict | None, bool]], known: Iterable[bool]) -> Iterator[bool]:
    """Yield whether each picture's person is identified, as who they are if recognizers know them."""
    for (verdict, is_right), is_known in zip(judged, known, strict=True):
        yield is_right if is_known else verdict is not None


def _played(answers: Sequence[Answer], policy: Policy, score: float, operation: Operation) -> list[Played]:
    return [play(answer.results, policy, score, operation) for answer in answers]


def _names(played: Played) -> frozenset[str]:
    return frozenset(person_id_of(one.display_name) for one in identified(played.verdicts))
