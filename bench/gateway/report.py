"""The results as tables in Markdown, and as charts."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.gateway.costs import CPU_MS, Values
from bench.gateway.overload import BOUND
from bench.gateway.sides import AIO

_COLOURS = {
    "bare Go": "#9aa5b1",
    "bare grpc.aio": "#616e7c",
    "Ray Serve": "#7b5ea7",
    "MLServer": "#4f9d69",
    "before": "#e8a33d",
    "gateway": "#2f7ed8",
}


def print_rows(rows: Mapping[str, Values]) -> None:
    """Print the medians of each row and, pair by pair, the ratios of the last column to the others."""
    *others, last = next(iter(rows.values()))
    print(f"\n| | {' | '.join((*others, last))} | {' | '.join(f'{last} / {name}' for name in others)} |")
    print(f"|---{'|---' * (2 * len(others) + 1)}|")
    for row, values in rows.items():
        medians = [f"{statistics.median(values[name]):.3g}" if name in values else "" for name in (*others, last)]
        ratios = [_ratio(values.get(name, ()), values[last]) for name in others]
        print(f"| {row} | {' | '.join(medians)} | {' | '.join(ratios)} |")


def print_columns(columns: Mapping[str, Mapping[str, float]]) -> None:
    """Print a row for each key of the columns."""
    print(f"\n| | {' | '.join(columns)} |\n|---{'|---' * len(columns)}|")
    for key in next(iter(columns.values())):
        print(f"| {key} | {' | '.join(f'{column[key]:.4g}' for column in columns.values())} |")


def draw(folder: Path, results: Mapping[str, Any]) -> None:
    """Write a chart of each part that has been measured and has one."""
    folder.mkdir(parents=True, exist_ok=True)
    if results.get("costs"):
        _draw_costs(folder / "costs.svg", results["costs"])
    if "timelines" in results:
        _draw_overload(folder / "overload.svg", results["timelines"])


def _draw_costs(path: Path, rows: Mapping[str, Values]) -> None:
    """Draw each side's processor time as a multiple of the bare fan-out's in grpc.aio; whiskers are all rounds."""
    loads = {row.removesuffix(CPU_MS): values for row, values in rows.items() if row.endswith(CPU_MS)}
    names = list(next(iter(loads.values())))
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(names)
    for number, name in enumerate(names):
        heights, reach = [], []
        for values in loads.values():
            unit = statistics.median(values[AIO])
            middle = statistics.median(values[name]) / unit
            heights.append(middle)
            reach.append((middle - min(values[name]) / unit, max(values[name]) / unit - middle))
        places = [index + (number - (len(names) - 1) / 2) * width for index in range(len(loads))]
        bars = axes.bar(places, heights, width, yerr=list(zip(*reach, strict=True)), label=name, color=_COLOURS[name])
        axes.bar_label(bars, fmt="%.2f", fontsize=7, padding=2)
    axes.set_xticks(range(len(loads)), list(loads))
    axes.set_ylabel(f"processor time a call, {AIO} = 1")
    _save(figure, axes, path)


def _draw_overload(path: Path, timelines: Mapping[str, Sequence[int]]) -> None:
    """Draw the good calls of each second."""
    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots()
    for name, counts in timelines.items():
        axes.step(range(len(counts)), counts, where="post", label=name, color=_COLOURS[name])
    axes.axhline(BOUND, color="#616e7c", linestyle=":", label="possible at most")
    axes.set_ylim(0)
    axes.set_xlabel("seconds")
    axes.set_ylabel("good calls a second")
    _save(figure, axes, path)


def _save(figure: Figure, axes: Axes, path: Path) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Date": None})


def _ratio(values: Sequence[float], others: Sequence[float]) -> str:
    if not values or not all(values):
        return ""
    return f"{statistics.median(b / a for a, b in zip(values, others, strict=True)):.2f}"
