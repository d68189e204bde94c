"""What recognizers and their fusion are worth on pictures that nothing was fitted on. Needs NumPy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from services.gateway.calibrate.trials import EITHER, Subject, Trials, Voice
from services.gateway.evaluation import measures
from services.gateway.evaluation.measures import Decisions, Misses, Numbers
from services.gateway.evaluation.survey import best_candidate, result_of
from services.gateway.evaluation.verdicts import Rule, counted, named
from services.gateway.fusion.calibration import Table, log_odds

FUSION, BY_SCORES = "fusion", "fusion by scores"
_THRESHOLDS = 1 / (1 + np.exp(-np.arange(-3, 8, 0.2)))
"""Probabilities from which a face is identified, tried to find the one that names one stranger."""
_NEXT_TO_1 = float(np.finfo(np.float32).epsneg)
"""How near the contract's scores, of 32 bits, come to 1."""


@dataclass(frozen=True)
class Measured:
    """What was measured of one recognizer, or of the fusion."""

    name: str
    misses: Misses
    interval: tuple[float, float]
    """95 % of FNIR."""
    identified: float
    """Share of known people who are identified as who they are, as the gateway is set up."""
    false_names: float
    """Share of strangers who get a name likewise (FPIR)."""
    wrong: float
    """Share of wrong names among all names."""
    cllr: float | None = None
    """Of log-likelihood ratios, by curves that were fitted on other moments."""
    raw_cllr: float | None = None
    """If the scores were probabilities."""
    reliability: Sequence[tuple[float, float, float]] = ()
    """Mean probability, share that was right and weight of parts of equal weight, lowest first; known people weigh 1
    together, and so do strangers."""


class Measuring:
    """Measurements on answers, each of which has a table that was fitted on others.

    FNIR is measured where so many strangers' moments are `named`.
    """

    def __init__(self, subject: Subject, rule: Rule, tables: Sequence[Table], named: float = 1) -> None:
        self._subject = subject
        self._named = named
        self._rules = [replace(rule, table=table) for table in tables]
        self._samples = measures.replicates([answer.picture.group for answer in subject.answers], subject.weights)
        self._decisions: dict[str, Decisions] = {}

    def recognizer(self, name: str, voice: Voice) -> Measured:
        """Return the measurements of one recognizer."""
        decisions = Decisions.by_score(np.nan_to_num(voice.scores), voice.right)
        raw = self._cllr(replace(voice, scores=_each(log_odds, voice.scores)))
        measured = replace(self._measured(name, voice, decisions), raw_cllr=raw)
        return self._calibrated(measured, replace(voice, scores=self._ratios(name)))

    def fusion(self) -> Measured:
        """Return the measurements of the fusion by tables."""
        voices = [self._fused(float(threshold)) for threshold in _THRESHOLDS]
        flags = [(~np.isnan(voice.scores), voice.right) for voice in voices]
        decisions = Decisions(_THRESHOLDS, *map(np.array, zip(*flags, strict=True)))
        measured = self._measured(FUSION, self._judged(self._rules), decisions)
        return self._calibrated(replace(measured, wrong=self._wrong(self._rules)), self._evidence())

    def by_scores(self) -> Measured:
        """Return the measurements of the fusion without a table."""
        voice = self._judged(rules := [Rule()] * len(self._rules))
        measured = self._measured(BY_SCORES, voice, Decisions.by_score(np.nan_to_num(voice.scores), voice.right))
        return replace(measured, wrong=self._wrong(rules))

    def difference(self, name: str, other: str) -> tuple[float, float]:
        """Return the 95 % interval of how much greater the FNIR of one that was measured is than another's."""
        one, two = self._decisions[name], self._decisions[other]
        return measures.interval(self._fnirs(one) - self._fnirs(two))

    def _measured(self, name: str, voice: Voice, decisions: Decisions) -> Measured:
        self._decisions[name] = decisions
        strange, weights = self._subject.strange, self._subject.weights
        names = ~np.isnan(voice.scores)
        return Measured(
            name,
            measures.misses(decisions, strange, weights, self._named),
            measures.interval(self._fnirs(decisions)),
            identified=float(np.average(voice.right[~strange], weights=weights[~strange])),
            false_names=float(np.average(names[strange], weights=weights[strange])),
            wrong=float(weights[names & ~voice.right].sum() / max(weights[names].sum(), 1e-9)),
        )

    def _calibrated(self, measured: Measured, evidence: Voice) -> Measured:
        """Add what log-likelihood ratios are worth, and the probabilities that they make if every second is right."""
        silent = np.isnan(evidence.scores)
        probabilities = (1 / (1 + np.exp(-evidence.scores)))[~silent]
        own = evidence.right[~silent], self._subject.weights[~silent]
        balanced = own[1] / np.where(self._subject.strange, *self._moments)[~silent]
        rows = measures.reliability(probabilities, own[0], balanced)
        return replace(measured, cllr=self._cllr(evidence), reliability=rows)

    @property
    def _moments(self) -> tuple[float, float]:
        return self._subject.moments(strange=True), self._subject.moments(strange=False)

    def _cllr(self, voice: Voice) -> float:
        trials = Trials.of(self._subject, voice)
        return measures.cllr(np.nan_to_num(trials.scores), trials.targets, trials.weights)

    def _fnirs(self, decisions: Decisions) -> Numbers:
        return measures.fnirs(decisions, self._subject.strange, self._samples, self._named)

    def _ratios(self, name: str) -> Numbers:
        """Return [answers]: log-likelihood ratios of a recognizer's names; NaN for silence."""
        ratios = np.full(len(self._rules), np.nan)
        for number, (answer, rule) in enumerate(zip(self._subject.answers, self._rules, strict=True)):
            result = result_of(answer, name)
            best = best_candidate(result) if result else None
            if best and rule.table:
                curve = rule.table.recognizers[name].of(best)
                ratios[number] = curve.ratio(best.score) if curve else 0.0
        return ratios

    def _evidence(self) -> Voice:
        """Return what the fusion's names are worth at even odds, where a probability's log odds are its ratio."""
        threshold = float(_THRESHOLDS[0])
        even = self._judged([replace(rule, prior_unknown=0.5, threshold=threshold) for rule in self._rules])
        probabilities = np.clip(even.scores, 0.5, 1 - _NEXT_TO_1)
        return replace(even, scores=np.log(probabilities / (1 - probabilities)))

    def _fused(self, threshold: float) -> Voice:
        return self._judged([replace(rule, threshold=threshold) for rule in self._rules])

    def _judged(self, rules: Sequence[Rule]) -> Voice:
        """Return what the gateway says by these rules, one for each answer."""
        answers = self._subject.answers
        names = [
            named(rule.verdicts(answer.results), answer.person) for answer, rule in zip(answers, rules, strict=True)
        ]
        kinds = np.full(len(names), EITHER)
        scores = np.array([verdict.score if verdict else np.nan for verdict, _ in names])
        return Voice(scores, np.array([right for _, right in names]), kinds, kinds)

    def _wrong(self, rules: Sequence[Rule]) -> float:
        """Return the share of wrong names; the gateway may give several, also beside the right one."""
        own = zip(self._subject.answers, rules, strict=True)
        counts = [counted(rule.verdicts(answer.results), answer.person) for answer, rule in own]
        names, wrong = self._subject.weights @ np.array(counts)
        return float(wrong / max(names, 1e-9))


def _each(function: Callable[[float], float], values: Numbers) -> Numbers:
    return np.array([function(value) if value == value else np.nan for value in values.tolist()])  # noqa: PLR0124 - NaN
