"""The trainer's page: what was measured, as one HTML file that needs no other."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from services.keras.train.dataset import Dataset
from services.keras.train.metrics import Classes
from services.runtime.report import page
from services.runtime.report.page import Block, Chart, Line, Section, Table, Text

_CAUTION = Text(
    "Measured on the held-out pictures. Epoch and threshold were chosen on the same pictures, so new ones will do "
    "slightly worse."
)


def write(
    path: Path,
    facts: Mapping[str, object],
    curves: Mapping[str, Sequence[float]],
    table: Classes,
    dataset: Dataset,
) -> None:
    """Write the page. `table` is the held-out pictures' confusion matrix; its last column counts those without a class.

    `curves` has loss, val_loss, accuracy and val_accuracy, one value per epoch.
    """
    measured = Table(("measured", "value"), [(name, str(value)) for name, value in facts.items()])
    charts = [_chart(name, curves[name], curves[f"val_{name}"]) for name in ("loss", "accuracy")]
    sections = [
        Section("Training", charts),
        Section("Confusion matrix", [_confusion(dataset.labels, table), _CAUTION]),
        page.left_out(dataset.left_out),
    ]
    summary: list[Block] = [measured, *(Text(f"Warning: {warning}") for warning in dataset.warnings)]
    page.write(path, f"Keras training: {' or '.join(dataset.labels)}", summary, sections)


def _confusion(labels: Sequence[str], table: Classes) -> Table:
    shares = table / table.sum(axis=1, keepdims=True).clip(1)
    rows = [(label, *map(str, row)) for label, row in zip(labels, table.tolist(), strict=True)]
    return Table(("is \\ predicted", *labels, "none"), rows, shares.tolist())


def _chart(name: str, training: Sequence[float], held_out: Sequence[float]) -> Chart:
    """Draw both curves over the epochs, from 0 to the highest value."""
    top = max(*training, *held_out) or 1
    lines = [Line(_points(training, top), "training"), Line(_points(held_out, top), "held out")]
    return Chart(f"{len(training)} epochs", f"{name}, up to {top:.3g}", lines)


def _points(values: Sequence[float], top: float) -> list[tuple[float, float]]:
    last = max(1, len(values) - 1)
    return [(number / last, value / top) for number, value in enumerate(values)]
