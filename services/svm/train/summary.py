"""What training measured: in words, for the console, and for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from services.runtime.images.folder import LeftOut
from services.runtime.storage import files
from services.svm.train.dataset import warnings
from services.svm.train.fit import Fit, GridPoint
from services.svm.train.pictures import NO_FACE, Picture
from services.svm.train.strangers import Identification

EXPLANATIONS = {
    "folds": "Parts of the cross-validation: each is named by a model of the others. Near-duplicates share one.",
    "classifier": "The classifier that cross-validation chose; the table of all that were tried is below.",
    "C": "The classifier's weight of errors against simplicity, chosen likewise.",
    "n_estimators": "Trees of the forest, chosen likewise.",
    "scaler": "What brings the features to one scale before the classifier.",
    "faces": "Faces that the model was trained on, and measured on in cross-validation.",
    "accuracy": "Share of the known people's faces that get their right name in cross-validation; UNKNOWN is an error.",
    "macro_f1": "F1 of each person's name, averaged over people, so that one with few pictures counts as much.",
    "rank_1": "Share whose best candidate is right if nobody were UNKNOWN: what a closed set of people would see.",
    "rank_1_macro_f1": "macro_f1 if nobody were UNKNOWN.",
    "known_kept": "Share of the known people's faces that are within the threshold, so that they get candidates.",
    "threshold": "Distance beyond which a face is UNKNOWN and gets no candidate.",
    "identify_score": "Score from which a candidate counts as identified; verdicts ignore those below it.",
    "stranger_auroc": "How well distance tells strangers from known people: 1 is perfect, 0.5 is chance. Each person "
    "is a stranger in turn to models of the others; the mean over those people.",
    "strangers_accepted": "Share of those strangers' faces that get a candidate, which is always wrong.",
    "strangers_identified": "Share of those strangers' faces whose candidate reaches identify_score (FPIR).",
    "known_identified": "Share of the known people's faces that the same models name rightly at identify_score "
    "(1 - FNIR).",
    "crops": "Pictures whose whole was taken as the face.",
    "held_out_faces": "Faces of a fifth of the moments, kept from another model with all its choices of grid, "
    "threshold and scores.",
    "held_out_accuracy": "accuracy on these: the least flattering of the accuracies, since nothing was chosen on them.",
    "held_out_macro_f1": "macro_f1 on these.",
    "held_out_unknown": "Share of these that are UNKNOWN.",
    "seconds_looking": "Time to find and describe the faces.",
    "seconds_fitting": "Time to cross-validate, fit and measure.",
}
"""What each figure of a report means."""


@dataclass(frozen=True)
class Training:
    """A training and what it measured."""

    provenance: Mapping[str, str]
    """Date, versions, parameters and hash of the data."""
    pictures: Sequence[Picture]
    left_out: Sequence[LeftOut]
    people: Sequence[str]
    """Display names, in the order of the classifier's classes."""
    fitted: Fit
    identifications: Sequence[Identification]

    @property
    def usable(self) -> list[Picture]:
        """The pictures that were trained on."""
        return [picture for picture in self.pictures if picture.usable]

    @property
    def warnings(self) -> list[str]:
        """What makes the measurements worth less than they seem."""
        return warnings(self.pictures)


def write_json(training: Training, path: Path) -> None:
    """Write everything that the page shows but pictures and curves."""
    content = {
        "provenance": dict(training.provenance),
        "people": list(training.people),
        "figures": training.fitted.report,
        "grid": [asdict(point) for point in training.fitted.grid],
        "identifications": [
            asdict(one) | {"gallery": one.gallery, "fpir": one.fpir} for one in training.identifications
        ],
        "warnings": training.warnings,
        "left_out": [{"file": one.name, "reason": one.reason} for one in training.left_out],
    }
    files.write(path, f"{json.dumps(content, indent=2, ensure_ascii=False)}\n")


def console_of(*, stderr: bool = False) -> Console:
    """Return a console that cuts no line: where no terminal has a width, a table gets all that it needs."""
    console = Console(stderr=stderr, soft_wrap=True, highlight=False)
    if not console.is_terminal:
        console.width = 10_000
    return console


def progress() -> Progress:
    """Show how many steps are done and how long the rest takes, on standard error; without a terminal, at the end."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console_of(stderr=True))


def show_pictures(pictures: Sequence[Picture], console: Console) -> None:
    """Print how many of each person's pictures are used, and why others are not."""
    table = _table("person", "pictures", "used", "of different moments", "no face", "other problems", "unreadable")
    for name in sorted({picture.folder for picture in pictures}):
        table.add_row(escape(name), *_counts([picture for picture in pictures if picture.folder == name]))
    console.print(table)


def show(training: Training, console: Console) -> None:
    """Print what was tried and measured."""
    for title, rows in (
        ("Tried in cross-validation", grid_rows(training.fitted.grid)),
        ("Strangers", identification_rows(training.identifications)),
    ):
        if rows:
            console.print(title)
            table = _table(*rows[0])
            for row in rows[1:]:
                table.add_row(*map(escape, row))
            console.print(table)
    for name, value in training.fitted.report.items():
        console.print(f"{name}: {number(value)}", markup=False)


def grid_rows(grid: Sequence[GridPoint]) -> list[list[str]]:
    """Return a head, and a row for everything tried."""
    head = ["classifier", "parameters", "accuracy", "± over folds", ""]
    rows = [[one.classifier, one.parameters, number(one.mean), number(one.spread)] for one in grid]
    return [head, *([*row, "chosen" if one.chosen else ""] for row, one in zip(rows, grid, strict=True))]


def identification_rows(identifications: Sequence[Identification]) -> list[list[str]]:
    """Return a head, and a row for each size of gallery; nothing if none was measured."""
    head = ["people in the gallery", "FPIR", "FNIR", "95 % interval", "threshold"]
    rows = [[_gallery(one), f"1/{one.searches}", *_rates(one), number(one.threshold)] for one in identifications]
    return [head, *rows] if rows else []


def number(value: object) -> str:
    """Return a number with three decimals, anything else as text."""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _gallery(one: Identification) -> str:
    parts = [f"{count} {kind}" for count, kind in ((one.real, "real"), (one.synthetic, "synthetic")) if count]
    return f"{one.gallery:,} ({' + '.join(parts)})"


def _rates(one: Identification) -> list[str]:
    return [f"{one.fnir:.1%}", f"{one.low:.1%} to {one.high:.1%}"]


def _table(*head: str) -> Table:
    table = Table()
    for name in head:
        table.add_column(name, overflow="fold")
    return table


def _counts(pictures: Sequence[Picture]) -> list[str]:
    usable = [picture for picture in pictures if picture.usable]
    no_face = sum(picture.problem == NO_FACE for picture in pictures)
    other = sum(bool(picture.problem) for picture in pictures) - no_face
    unreadable = sum(bool(picture.unreadable) for picture in pictures)
    moments = len({picture.group for picture in usable})
    return [str(count) for count in (len(pictures), len(usable), moments, no_face, other, unreadable)]
