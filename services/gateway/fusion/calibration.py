"""What a recognizer's score is worth as evidence: a table of curves, measured on labelled pictures.

    {
      "recognizers": {
        "svm": {
          "model": "hog-lbp",
          "version": "3f2a91c0",
          "trained": {"slope": 1.9, "intercept": -0.4, "most": 4.1},
          "enrolled": {"slope": 2.6, "intercept": 0.2, "most": 3.7}
        }
      }
    }

Recognizers are named as in the gateway's results. People whom a model was trained on and people who were enrolled have
curves of their own, since their scores are made in different ways. Keys that are not here are left alone: whoever
measures a table may say in it how.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from marquee.v1 import recognizer_pb2 as pb

_MARGIN = 1e-4
"""Scores are taken to be this far from 0 and 1 at least, where log odds have no end."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False, protected_namespaces=())


class Curve(_Part):
    """A logistic calibration: a line over the score's log odds, between 0 and what the measured pictures support."""

    slope: float = Field(ge=0)
    intercept: float
    most: float = Field(ge=0)
    """Maximum log-likelihood ratio."""

    def ratio(self, score: float) -> float:
        """Return the natural logarithm of how much likelier the score, 0 to 1, is for the person than for others."""
        return min(max(self.intercept + self.slope * log_odds(score), 0.0), self.most)


class ModelCurves(_Part):
    """Curves of one version of one recognizer's model."""

    model: str = Field(min_length=1)
    """Model.name."""
    version: str
    """Model.version up to the "+"; what follows it makes no difference."""
    trained: Curve | None = None
    """For candidates who are not enrolled."""
    enrolled: Curve | None = None

    def are_of(self, model: pb.Model) -> bool:
        """Return whether they were measured with this model."""
        return model.name == self.model and version_of(model) == version_of(self)

    def of(self, candidate: pb.Candidate) -> Curve | None:
        """Return the curve for the candidate's score, if one was measured."""
        return self.enrolled if candidate.enrolled else self.trained


class Table(_Part):
    """Curves of recognizers, by name."""

    recognizers: dict[str, ModelCurves] = Field(min_length=1)


@dataclass(frozen=True)
class Calibration:
    """A table, and what an operator decides about its use."""

    table: Table
    prior_unknown: float = 0.5
    """Probability that a face shows somebody whom no recognizer knows, before any of them is asked."""
    threshold: float = 0.5
    """Probability from which a face is IDENTIFIED; 0.5 or more, so that it is for one person only."""

    def knows(self, recognizer: str, model: pb.Model) -> bool:
        """Return whether the table is for this model of the recognizer."""
        curves = self.table.recognizers.get(recognizer)
        return curves is not None and curves.are_of(model)

    def curve(self, recognizer: str, candidate: pb.Candidate) -> Curve | None:
        """Return the curve for the recognizer's candidate, if the table has one."""
        curves = self.table.recognizers.get(recognizer)
        return curves.of(candidate) if curves else None

    def ratio(self, recognizer: str, candidate: pb.Candidate) -> float:
        """Return the candidate's log-likelihood ratio; 0 without a curve."""
        curve = self.curve(recognizer, candidate)
        return curve.ratio(candidate.score) if curve else 0.0

    def probability(self, ratio: float, others: Sequence[float] = ()) -> float:
        """Return the probability of the person with this ratio, where there are others with theirs.

        Each of them was as likely as that somebody is known at all, before recognizers were asked.
        """
        prior = math.log(1 / self.prior_unknown - 1)
        weights = (-prior - ratio, *(other - ratio for other in others))
        most = max(0.0, *weights)
        return math.exp(-most) / (math.exp(-most) + math.fsum(math.exp(one - most) for one in weights))

    def suffices(self, ratio: float) -> bool:
        """Return whether this ratio makes the probability reach the threshold by itself."""
        return self.probability(ratio) >= self.threshold


def read_table(path: Path) -> Table:
    """Read a table. Raises ValueError, with a line for each mistake, and OSError."""
    try:
        return Table.model_validate_json(path.read_bytes())
    except ValidationError as exc:
        mistakes = (f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']}" for one in exc.errors())
        raise ValueError("\n".join(f"{path}: {mistake}" for mistake in mistakes)) from exc


def version_of(model: pb.Model | ModelCurves) -> str:
    """Return the version without the state of the gallery: scores mean the same in all of its states."""
    return model.version.partition("+")[0]


def log_odds(score: float) -> float:
    """Return the natural logarithm of a score's odds."""
    inside = min(max(score, _MARGIN), 1 - _MARGIN)
    return math.log(inside / (1 - inside))
