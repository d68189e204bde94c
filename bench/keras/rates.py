"""Rates of work, and the rows that report them."""

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """The throughput and cost of a few seconds of work."""

    images: float
    """Images per second of wall-clock time."""
    cpu: float
    """CPU seconds per image of all processes that take part, including the callers."""


def print_rates(name: str, rates: list[Rate], against: list[Rate] | None = None) -> None:
    """Print the medians and, with `against`, the ratios of rates that were measured next to each other."""
    images, cpu = (statistics.median(values) for values in zip(*((one.images, one.cpu) for one in rates), strict=True))
    text = f"{images:.0f} images/s, {cpu * 1000:.2f} ms CPU an image"
    if against:
        shares = [one.images / other.images for one, other in zip(rates, against, strict=True)]
        costs = [other.cpu / one.cpu for one, other in zip(rates, against, strict=True)]
        text += f"; share {statistics.median(shares):.2f} ({min(shares):.2f}-{max(shares):.2f})"
        text += f", by CPU time {statistics.median(costs):.2f}"
    print(f"| {name} | {text} |", flush=True)
