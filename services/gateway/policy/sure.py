"""When results are sure, so that nobody else has to be asked. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.fusion.verdict import VALID
from services.runtime.requests import Feature

ROUNDING = 1e-6
"""The contract's scores have 32 bits: its 0.9 is a little less than Python's."""


@dataclass(frozen=True)
class Bar:
    """What results have to reach to be sure."""

    features: frozenset[Feature]
    """Those of the request: each has to be performed."""
    score: float
    """For probabilities, and for recognizers without a score of their own."""
    scores: Mapping[str, float]
    """By configured recognizer."""

    def is_reached(self, results: Iterable[pb.RecognizerResult], verdicts: Sequence[pb.Verdict]) -> bool:
        """Return whether every feature was performed, and every face, one at least, is identified confidently."""
        performed = {feature for result in results if result.outcome in VALID for feature in result.performed_features}
        return bool(verdicts) and self.features <= performed and all(map(self._is_confident, verdicts))

    def _is_confident(self, verdict: pb.Verdict) -> bool:
        if verdict.state != pb.VERDICT_STATE_IDENTIFIED:
            return False
        score = self.score
        if verdict.basis != pb.VERDICT_BASIS_CALIBRATED and verdict.support:
            score = self.scores.get(verdict.support[0].recognizer.partition("/")[0], score)
        return verdict.score >= score - ROUNDING
