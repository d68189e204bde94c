"""Rates of work, and how they are told."""

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """What some seconds of work came to."""

    images: float
    """A second that passed."""
    cpu: float
    """Seconds of all processes that took part, callers included, for an image."""


def print_rates(name: str, rates: list[Rate], against: list[Rate] | None = None) -> None:
    """Return the medians; and of pairs measured next to each other the shares."""
    images, cpu = (statistics.median(values) for values in zip(*((one.images, one.cpu) for one in rates), strict=True))
    text = f"{images:.0f} images/s, {cpu * 1000:.2f} ms CPU an image"
    if against:
        shares = [one.images / other.images for one, other in zip(rates, against, strict=True)]
        costs = [other.cpu / one.cpu for one, other in zip(rates, against, strict=True)]
        text += f"; share {statistics.median(shares):.2f} ({min(shares):.2f}-{max(shares):.2f})"
        text += f", by CPU time {statistics.median(costs):.2f}"
    print(f"| {name} | {text} |", flush=True)
