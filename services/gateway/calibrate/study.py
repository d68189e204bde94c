"""The study: curves for the gateway's table, and what they are worth on pictures that they were not fitted on."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.calibrate.logistic import fit
from services.gateway.calibrate.measured import FUSION, Measured, Measuring
from services.gateway.calibrate.trials import ENROLLED, TRAINED, Columns, Subject, Trials, Voice, without_person
from services.gateway.evaluation.pictures import StudyError
from services.gateway.evaluation.survey import Answer
from services.gateway.evaluation.verdicts import Rule
from services.gateway.fusion.calibration import Curve, ModelCurves, Table, version_of
from services.gateway.fusion.evidence import NAMING

FOLDS = 5
_FEWEST = 10
"""Moments of known people, and of strangers, below which nothing is worth measuring."""


@dataclass(frozen=True)
class Study:
    """The table and its measurements."""

    table: Table
    recognizers: Sequence[Measured]
    fusion: Measured
    """By tables that were fitted on other moments."""
    by_scores: Measured
    best: str
    """The recognizer with the lowest FNIR."""
    difference: tuple[float, float]
    """95 % interval of how much greater the fusion's FNIR is than the best recognizer's."""
    known: float
    """Moments of known people."""
    strangers: float
    """Moments of strangers."""
    leaves_out: bool
    """Whether the strangers are known people whose names were taken out of the answers."""


def study(answers: Sequence[Answer], rule: Rule) -> Study:
    """Fit and measure. Raises StudyError if there is too little to measure, or a model changed meanwhile."""
    leaves_out = all(answer.person for answer in answers)
    subject = Subject([*answers, *map(without_person, answers)] if leaves_out else answers)
    _check(subject)
    models = models_of(answers)
    voices = {name: Voice.of(subject, name) for name in models}
    trials = {name: Trials.of(subject, voice) for name, voice in voices.items()}
    parts = parts_of(answer.picture.group for answer in subject.answers)
    rest = [{name: own.part(parts[own.answers] != part) for name, own in trials.items()} for part in range(FOLDS)]
    tables = [table_of(models, own) for own in rest]
    measuring = Measuring(subject, rule, [tables[part] for part in parts.tolist()])
    recognizers = [measuring.recognizer(name, voice) for name, voice in voices.items()]
    fusion = measuring.fusion()
    best = min(recognizers, key=lambda one: one.misses.fnir).name
    return Study(
        table=table_of(models, trials),
        recognizers=recognizers,
        fusion=fusion,
        by_scores=measuring.by_scores(),
        best=best,
        difference=measuring.difference(FUSION, best),
        known=subject.moments(strange=False),
        strangers=subject.moments(strange=True),
        leaves_out=leaves_out,
    )


def models_of(answers: Sequence[Answer]) -> dict[str, pb.Model]:
    """Return the models of the recognizers that look for people. Raises StudyError if one changed, or there is none."""
    models: dict[str, pb.Model] = {}
    for result in (result for answer in answers for result in answer.results):
        if not NAMING.isdisjoint(result.performed_features):
            known = models.setdefault(result.recognizer, result.model)
            if (known.name, version_of(known)) != (result.model.name, version_of(result.model)):
                raise StudyError(f"The model of {result.recognizer} changed meanwhile: start again.")
    if not models:
        raise StudyError("No recognizer named anybody: are the people of these pictures known to any?")
    return models


def table_of(models: Mapping[str, pb.Model], trials: Mapping[str, Trials]) -> Table:
    """Return the curves of trials."""
    return Table(
        recognizers={
            name: ModelCurves(
                model=model.name,
                version=version_of(model),
                trained=_curve(trials[name], TRAINED),
                enrolled=_curve(trials[name], ENROLLED),
            )
            for name, model in models.items()
        }
    )


def _curve(trials: Trials, kind: int) -> Curve | None:
    """Return the curve of a kind of people; None if nobody of them was ever named."""
    return fit(trials.of_kind(kind)) if (trials.kinds == kind).any() else None


def parts_of(groups: Iterable[str]) -> Columns:
    """Return a part of the cross-validation for each answer; those of one group share it."""
    groups = list(groups)
    shuffled = sorted(set(groups))
    random.Random(0).shuffle(shuffled)  # noqa: S311 - the same parts each time
    parts = {group: number % FOLDS for number, group in enumerate(shuffled)}
    return np.array([parts[group] for group in groups])


def _check(subject: Subject) -> None:
    for strange, who in ((False, "known people"), (True, "strangers")):
        count = subject.moments(strange=strange)
        if count < _FEWEST:
            raise StudyError(f"There are {count:.0f} moments of {who}; {_FEWEST} are needed, and hundreds are better.")
