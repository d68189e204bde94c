"""The trainer's page: what was measured, as one HTML file that needs no other."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_curve

from services.runtime.report import page
from services.runtime.report.page import Block, Chart, Figure, Line, Section, Table, Text
from services.svm.train.calibration import names, reliability
from services.svm.train.fit import Fit
from services.svm.train.pictures import Picture
from services.svm.train.summary import EXPLANATIONS, Training, grid_rows, identification_rows, number

_WORST = 12


def write(path: Path, training: Training) -> None:
    """Write the page."""
    people, fitted = training.people, training.fitted
    figures = [(name, number(value), EXPLANATIONS[name]) for name, value in fitted.report.items()]
    summary: list[Block] = [Table(("measured", "value", "meaning"), figures), *map(Text, training.warnings)]
    sections = [
        Section("Tried in cross-validation", _grid(fitted)),
        Section("Who was taken for whom", [_CONFUSION, _confusion(people, fitted)]),
        Section("Each person", [_PEOPLE, _people(people, fitted)]),
        Section("Strangers", _strangers(training)),
        Section("What scores mean", _reliability(fitted)),
        Section("Worst mistakes", _worst(training.usable, people, fitted)),
        page.left_out(training.left_out),
        Section("How it was made", [Table(("what", "value"), list(training.provenance.items()))]),
    ]
    recipe = fitted.recipe
    page.write(path, f"SVM training: {recipe}, {len(training.usable)} faces of {len(people)} people", summary, sections)


_CONFUSION = Text(
    "Counts of faces in cross-validation, near-duplicates never on both sides. A row has a person's faces, a column "
    "those whose best candidate is this one; UNKNOWN are beyond the threshold. Darker is a larger share of the row."
)
_PEOPLE = Text(
    "Precision: the share of the faces given this name that are this person's. Recall: the share of this person's "
    "faces that get the name; UNKNOWN counts against it. F1: their harmonic mean. Faces: how many the person has."
)
_GRID = Text(
    "Each classifier with each of its parameters: the share of views named rightly in the parts kept for testing, mean "
    "and standard deviation over the folds. Differences smaller than the deviation may be chance. The best is "
    "chosen, of equals the first."
)
_IDENTIFICATION = Text(
    "Open-set identification in the terms of NIST's 1:N tests. Each person in turn is a stranger to galleries of "
    "others. FPIR is the share of strangers' faces that get anybody's name. The threshold is set so that one does, the "
    "finest FPIR that so many strangers support. FNIR is the share of known people's faces that do not get their right "
    "name there. Faces are one of each moment, as near-duplicates would count one error twice. The interval is a "
    "bootstrap over people and, within each, moments: what other people like these may give. Where no face of n is "
    "missed, FNIR may still be up to 3/n."
)
_SYNTHETIC = Text(
    "Real people come first in each gallery; the rest are synthetic embeddings, no pictures. Their means are drawn "
    "with the spread between the real people's, their faces with the spread within a person's (normal distributions, "
    "Ledoit-Wolf covariances; the fewer the real people, the more of the directions come from the spread "
    "within one). The row of synthetic people alone shows how well they stand in for as many real ones. Names are "
    "given by distance to the nearest face, as to enrolled ones, at most five faces a person."
)
_ONLY_REAL = Text(
    "Measured by score in the gallery of the real people only: this recipe's classifier would have to be trained on "
    "the synthetic people. It is meant for closed sets, where everybody who comes is known."
)
_CURVES = Text(
    "Strangers turned away against known faces turned away, as the threshold on the distance moves. One curve for each "
    "person left out; the nearer to the upper left corner the better, and the diagonal is chance."
)
_RELIABILITY = Text(
    "Faces sorted by their best candidate's score into parts of equal size: the mean score of each against the share "
    "of right names. On the diagonal a score of 0.8 is right in 80 % of the cases; below it the scores promise too "
    "much. Scores were fitted on these same faces, so new ones will lie a little further off."
)


def _grid(fitted: Fit) -> list[Block]:
    head, *rows = grid_rows(fitted.grid)
    return [_GRID, Table(head, rows)]


def _confusion(people: Sequence[str], fitted: Fit) -> Table:
    found = names(fitted.calibration, fitted.known)
    counts = confusion_matrix(fitted.known.owners, found, labels=range(len(people) + 1))[:-1]
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    rows = [(name, *map(str, row)) for name, row in zip(people, counts.tolist(), strict=True)]
    return Table(("is \\ taken for", *people, "UNKNOWN"), rows, shares.tolist())


def _people(people: Sequence[str], fitted: Fit) -> Table:
    columns = precision_recall_fscore_support(
        fitted.known.owners, names(fitted.calibration, fitted.known), labels=range(len(people)), zero_division=0
    )
    rows = [(name, *map(number, values)) for name, *values in zip(people, *columns, strict=True)]
    return Table(("person", "precision", "recall", "F1", "faces"), rows)


def _strangers(training: Training) -> list[Block]:
    trials, blocks = training.fitted.trials, list[Block]()
    if training.identifications:
        head, *rows = identification_rows(training.identifications)
        has_synthetic = any(one.synthetic for one in training.identifications)
        blocks += [_IDENTIFICATION, _SYNTHETIC if has_synthetic else _ONLY_REAL, Table(head, rows)]
    if not trials:
        return [*blocks, Text("Not measured: without one of two people this recipe has nothing to compare.")]
    curves = [roc_curve(trial.strange, trial.nearest) for trial in trials]
    lines = [Line(list(zip(false, true, strict=True))) for false, true, _ in curves]
    return [*blocks, _CURVES, Chart("known faces turned away", "strangers turned away", lines, diagonal=True)]


def _reliability(fitted: Fit) -> list[Block]:
    """Draw scores against right names, of known people alone and with the strangers."""
    known = reliability(fitted.calibration, fitted.known, [])
    everybody = reliability(fitted.calibration, fitted.known, fitted.trials)
    lines = [Line([(score, right) for score, right, _ in known.tolist()], "known people")]
    rows = [(f"known people, {score:.3f}", f"{right:.1%}", f"{count:.0f}") for score, right, count in known.tolist()]
    if fitted.trials:
        lines.append(Line([(score, right) for score, right, _ in everybody.tolist()], "and strangers"))
        rows += [
            (f"and strangers, {score:.3f}", f"{right:.1%}", f"{count:.0f}")
            for score, right, count in everybody.tolist()
        ]
    chart = Chart("score", "share of right names", lines, diagonal=True)
    return [_RELIABILITY, chart, Table(("mean score", "right", "faces"), rows)]


def _worst(usable: Sequence[Picture], people: Sequence[str], fitted: Fit) -> list[Block]:
    """Return the wrongly named faces whose own person's score was lowest."""
    found, known = names(fitted.calibration, fitted.known), fitted.known
    scores = fitted.calibration.scores(known.decisions, known.distances)[np.arange(len(usable)), known.owners]
    wrong = [int(face) for face in np.argsort(scores) if found[face] != known.owners[face]][:_WORST]
    if not wrong:
        return [Text("None: in cross-validation every face got its right name.")]
    choices = [*people, "UNKNOWN"]
    figures = [_figure(usable[face], choices[found[face]], float(known.nearest[face])) for face in wrong]
    text = "The faces whose own person scored lowest, with the distance to the nearest known face."
    return [Text(text), *figures]


def _figure(picture: Picture, name: str, distance: float) -> Figure:
    file = f"{picture.folder}/{picture.path.name}"
    return Figure(picture.thumbnail, [file, f"taken for {name}, distance {distance:.2f}"])
