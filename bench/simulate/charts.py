"""Charts of the results, as SVG."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.simulate.sizing import HOURS, Size
from bench.simulate.trouble import BUSY, ZONE_GOES, Load, Second, Tail

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""Told apart by people who see no red or no green, too."""


def dollars(path: Path, sizes: Mapping[str, Sequence[Size]]) -> None:
    """Draw the dollars of a million pictures by their number a second: Amazon's of each policy, the pods' of ALL.

    FIRST_CONFIDENT costs what ALL does.
    """
    axes = _axes("pictures a second", "dollars a million pictures")
    lines = [(f"Amazon: {name}", "amazon", "-", ones) for name, ones in sizes.items() if name != "FIRST_CONFIDENT"]
    lines.append(("pods: ALL", "compute", ":", sizes["ALL"]))
    for colour, (label, of, style, ones) in zip(_COLOURS, lines, strict=True):
        costs = [getattr(one, of) / (one.rate * HOURS * 3600 / 1e6) for one in ones]
        axes.loglog([one.rate for one in ones], costs, style, color=colour, marker="o", label=label)
    _save(path, axes)


def tails(path: Path, ones: Sequence[Tail]) -> None:
    """Draw the p50 and p99 of one recognizer, and of the slowest of three."""
    axes = _axes("share of the time that the recognizers' workers are busy", "milliseconds")
    for colour, what in zip(_COLOURS, ("one", "slowest"), strict=False):
        for style, place, name in (("-", 2, "p99"), (":", 0, "p50")):
            values = [1000 * getattr(one, what)[place] for one in ones]
            label = f"{'one recognizer' if what == 'one' else 'the slowest of three'}, {name}"
            axes.plot(BUSY, values, style, color=colour, marker="o", label=label)
    _save(path, axes)


def dead_zone(path: Path, courses: Mapping[str, Sequence[Second]]) -> None:
    """Draw the p99 over time, a zone being lost."""
    axes = _axes("seconds; a zone is lost at the dashed line", "p99 in seconds")
    for colour, (name, seconds) in zip(_COLOURS, courses.items(), strict=False):
        axes.plot([one.second for one in seconds], [one.p99 for one in seconds], color=colour, label=name)
    axes.axvline(ZONE_GOES, linestyle="--", color="grey")
    _save(path, axes)


def overload(path: Path, courses: Mapping[str, Sequence[Load]]) -> None:
    """Draw how many useful answers come of how many pictures."""
    axes = _axes("pictures a second offered", "whole answers a second, in time")
    for colour, (name, loads) in zip(_COLOURS, courses.items(), strict=False):
        axes.plot([one.offered for one in loads], [one.good for one in loads], color=colour, marker="o", label=name)
    _save(path, axes)


def _axes(x: str, y: str) -> Axes:
    axes = Figure(figsize=(7, 3.6), layout="constrained").add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(visible=True, alpha=0.3)
    return axes


def _save(path: Path, axes: Axes) -> None:
    if axes.get_yscale() != "log":
        axes.set_ylim(bottom=0)
    axes.legend(fontsize=8)
    with mpl.rc_context({"svg.hashsalt": "marquee", "svg.fonttype": "none"}):
        axes.figure.savefig(path, metadata={"Date": None})
