"""The trainer's page: what was measured, as one HTML file that needs no other."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_curve

from services.runtime.images.folder import LeftOut
from services.runtime.report import page
from services.runtime.report.page import Block, Chart, Figure, Line, Section, Table, Text
from services.svm.train.dataset import TrainingSet, warnings
from services.svm.train.fit import Fit
from services.svm.train.pictures import Picture

_WORST = 12


def write(path: Path, usable: Sequence[Picture], left_out: Sequence[LeftOut], faces: TrainingSet, fitted: Fit) -> None:
    """Write the page."""
    names = [person.display_name for person in faces.people]
    summary: list[Block] = [
        Table(("measured", "value"), [(name, _number(value)) for name, value in fitted.report.items()])
    ]
    summary += [Text(warning) for warning in warnings(usable)]
    sections = [
        Section("Who was taken for whom", [_CROSS_VALIDATION, _confusion(names, fitted)]),
        Section("Each person", [_people(names, fitted)]),
        Section("Strangers", _strangers(fitted)),
        Section("Worst mistakes", _worst(usable, names, fitted)),
        page.left_out(left_out),
    ]
    page.write(path, f"SVM training: {faces.recipe}, {len(usable)} faces of {len(names)} people", summary, sections)


_CROSS_VALIDATION = Text("In cross-validation, with near-duplicates never on both sides.")


def _predictions(fitted: Fit) -> npt.NDArray[np.int64]:
    """Return the column of the person that each face was taken for; one more than there are people for nobody."""
    names = fitted.known.decisions.argmax(axis=1)
    people = fitted.known.decisions.shape[1]
    return np.asarray(np.where(fitted.known.nearest <= fitted.calibration.threshold, names, people))


def _confusion(names: Sequence[str], fitted: Fit) -> Table:
    counts = confusion_matrix(fitted.known.owners, _predictions(fitted), labels=range(len(names) + 1))[:-1]
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    rows = [(name, *map(str, row)) for name, row in zip(names, counts.tolist(), strict=True)]
    return Table(("is \\ taken for", *names, "UNKNOWN"), rows, shares.tolist())


def _people(names: Sequence[str], fitted: Fit) -> Table:
    columns = precision_recall_fscore_support(
        fitted.known.owners, _predictions(fitted), labels=range(len(names)), zero_division=0
    )
    rows = [(name, *map(_number, values)) for name, *values in zip(names, *columns, strict=True)]
    return Table(("person", "precision", "recall", "F1", "faces"), rows)


def _strangers(fitted: Fit) -> list[Block]:
    """Draw, for every person left out in turn, strangers turned away against known faces turned away."""
    if not fitted.trials:
        return [Text("Not measured: without one of two people this recipe has nothing to compare.")]
    lines = []
    for trial in fitted.trials:
        false, true, _ = roc_curve(trial.strange, trial.nearest)
        lines.append(Line(list(zip(false, true, strict=True))))
    text = f"Threshold on the distance: {fitted.calibration.threshold:.3f}. One curve for each person left out."
    return [Text(text), Chart("known faces turned away", "strangers turned away", lines, diagonal=True)]


def _worst(usable: Sequence[Picture], names: Sequence[str], fitted: Fit) -> list[Block]:
    """Return the wrongly named faces whose own person's score was lowest."""
    predictions, known = _predictions(fitted), fitted.known
    scores = fitted.calibration.scores(known.decisions, known.distances)[np.arange(len(usable)), known.owners]
    wrong = [int(face) for face in np.argsort(scores) if predictions[face] != known.owners[face]][:_WORST]
    if not wrong:
        return [Text("None: in cross-validation every face got its right name.")]
    choices = [*names, "UNKNOWN"]
    return [_figure(usable[face], choices[predictions[face]], float(known.nearest[face])) for face in wrong]


def _figure(picture: Picture, name: str, distance: float) -> Figure:
    file = f"{picture.folder}/{picture.path.name}"
    return Figure(picture.thumbnail, [file, f"taken for {name}, distance {distance:.2f}"])


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
