"""The trainer's page: what was measured, as one HTML file that needs no other."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_curve

from services.svm.train.dataset import TrainingSet
from services.svm.train.fit import Fitted
from services.svm.train.samples import Sample

_WORST = 12
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: .5rem 0 } td, th { padding: .25rem .6rem; border: 1px solid #ddd }
td { text-align: right } th { text-align: left; background: #f6f6f6 } h2 { margin-top: 2rem }
figure { display: inline-block; margin: .4rem; width: 9rem; vertical-align: top } figcaption { font-size: 12px }
svg { background: #fafafa; border: 1px solid #ddd } .diagonal { outline: 2px solid #3a7 }
"""


def write(path: Path, folder: Path, samples: Sequence[Sample], faces: TrainingSet, fitted: Fitted) -> None:
    """Writes the page; file names are told relative to the folder."""
    names = [person.display_name for person in faces.people]
    used = [sample for sample in samples if sample.usable]
    parts = [
        f"<h1>{escape(faces.recipe)}: {len(used)} faces of {len(names)} people</h1>",
        _table(("measured", "value"), ((name, _number(value)) for name, value in fitted.report.items())),
        "<h2>Who was taken for whom</h2><p>In cross-validation: near-duplicates never on both sides.</p>",
        _confusion(names, fitted),
        "<h2>Each person</h2>",
        _people(names, fitted),
        "<h2>Strangers</h2>",
        _strangers(fitted),
        "<h2>Worst mistakes</h2>",
        _worst(used, names, fitted),
        "<h2>Left out</h2>",
        _left_out(folder, samples),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>SVM training</title><style>{_STYLE}</style>'
    path.write_text("\n".join([head, *parts, "</html>\n"]), "utf-8")


def _named(fitted: Fitted) -> npt.NDArray[np.int64]:
    """Each face's column of the person it was taken for; one more than there are people for nobody."""
    named = fitted.known.decisions.argmax(axis=1)
    people = fitted.known.decisions.shape[1]
    return np.asarray(np.where(fitted.known.nearest <= fitted.calibration.threshold, named, people))


def _confusion(names: Sequence[str], fitted: Fitted) -> str:
    counts = confusion_matrix(fitted.known.owners, _named(fitted), labels=range(len(names) + 1))[:-1]
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    rows = [f"<tr><th>is \\ named</th>{''.join(f'<th>{escape(name)}</th>' for name in [*names, 'UNKNOWN'])}</tr>"]
    for row, name in enumerate(names):
        cells = [
            f'<td class="{"diagonal" if row == column else ""}"'
            f' style="background: rgba(60, 120, 220, {shares[row, column]:.2f})">{counts[row, column]}</td>'
            for column in range(len(names) + 1)
        ]
        rows.append(f"<tr><th>{escape(name)}</th>{''.join(cells)}</tr>")
    return f"<table>{''.join(rows)}</table>"


def _people(names: Sequence[str], fitted: Fitted) -> str:
    precision, recall, f1, count = precision_recall_fscore_support(
        fitted.known.owners, _named(fitted), labels=range(len(names)), zero_division=0
    )
    rows = ((name, *map(_number, told)) for name, *told in zip(names, precision, recall, f1, count, strict=True))
    return _table(("person", "precision", "recall", "F1", "faces"), rows)


def _strangers(fitted: Fitted) -> str:
    """Every person left out in turn: the curve of strangers turned away against known faces kept."""
    if not fitted.trials:
        return "<p>Not measured: leaving one of two people out leaves this recipe nothing to compare.</p>"
    curves = []
    for trial in fitted.trials:
        false, true, _ = roc_curve(trial.strange, trial.nearest)
        points = " ".join(f"{30 + 300 * x:.1f},{310 - 300 * y:.1f}" for x, y in zip(false, true, strict=True))
        curves.append(f'<polyline points="{points}" fill="none" stroke="#37c" stroke-width="1.5" opacity=".7"/>')
    axes = '<path d="M30 10V310H330M30 310L330 10" fill="none" stroke="#999"/>'
    labels = (
        '<text x="180" y="332" text-anchor="middle" font-size="12">known faces turned away</text>'
        '<text x="14" y="160" transform="rotate(-90 14 160)" text-anchor="middle" font-size="12">'
        "strangers turned away</text>"
    )
    told = f"<p>Threshold on the distance: {fitted.calibration.threshold:.3f}. One curve for each person left out.</p>"
    return f'{told}<svg width="345" height="340">{axes}{"".join(curves)}{labels}</svg>'


def _worst(used: Sequence[Sample], names: Sequence[str], fitted: Fitted) -> str:
    """The faces whose own person's score was lowest among those not named rightly."""
    named, known = _named(fitted), fitted.known
    scores = fitted.calibration.scores(known.decisions, known.distances)[np.arange(len(used)), known.owners]
    wrong = [int(index) for index in np.argsort(scores) if named[index] != known.owners[index]][:_WORST]
    if not wrong:
        return "<p>None: in cross-validation every face was named rightly.</p>"
    return "".join(_figure(used[one], [*names, "UNKNOWN"][named[one]], float(known.nearest[one])) for one in wrong)


def _figure(sample: Sample, name: str, distance: float) -> str:
    picture = base64.b64encode(sample.thumbnail).decode()
    caption = f"{escape(sample.folder)}/{escape(sample.path.name)}<br>taken for {escape(name)}, distance {distance:.2f}"
    return f'<figure><img src="data:image/jpeg;base64,{picture}" alt=""><figcaption>{caption}</figcaption></figure>'


def _left_out(folder: Path, samples: Sequence[Sample]) -> str:
    rows = [(str(one.path.relative_to(folder)), one.problem) for one in samples if one.problem]
    return _table(("picture", "why"), rows) if rows else "<p>Nothing.</p>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"<tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr>"]
    lines += [f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows]
    return f"<table>{''.join(lines)}</table>"


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
