"""Measured service times, kept as quantiles: small, exact to read, and drawn from by interpolation."""

import json
import random
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

FILE = Path(__file__).with_name("measured.json")
_STEPS = 20


@dataclass(frozen=True)
class Distribution:
    """Seconds at the quantiles 0, 1/20, …, 1, and their mean."""

    quantiles: Sequence[float]
    mean: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Self:
        """Return the distribution of measured times, two or more."""
        inner = statistics.quantiles(seconds, n=_STEPS, method="inclusive")
        return cls([round(one, 6) for one in (min(seconds), *inner, max(seconds))], round(statistics.mean(seconds), 6))

    @classmethod
    def log_normal(cls, median: float, p95: float) -> Self:
        """Return a log-normal distribution up to its quantile .999, as services elsewhere often have."""
        normal = statistics.NormalDist(sigma=1)
        sigma = statistics.NormalDist().inv_cdf(0.95)
        shares = [0.001, *(step / _STEPS for step in range(1, _STEPS)), 0.999]
        points = [median * (p95 / median) ** (normal.inv_cdf(share) / sigma) for share in shares]
        return cls(points, statistics.mean(points))

    def draw(self, source: random.Random) -> float:
        """Return one time."""
        whole, part = divmod(source.random() * _STEPS, 1)
        low, high = self.quantiles[int(whole)], self.quantiles[int(whole) + 1]
        return low + (high - low) * part


@dataclass(frozen=True)
class Measured:
    """What one machine took for a picture."""

    date: str
    machine: str
    pictures: int
    cpu: dict[str, Distribution]
    """Role (gateway, svm, keras, rekognition, amazon, client) → seconds of CPU a picture."""

    def write(self) -> None:
        """Keep it for the model."""
        FILE.write_text(json.dumps(asdict(self), indent=1) + "\n", "utf-8")


def read() -> Measured:
    """Return what was measured last."""
    kept = json.loads(FILE.read_text("utf-8"))
    return Measured(**kept | {"cpu": {role: Distribution(**one) for role, one in kept["cpu"].items()}})
