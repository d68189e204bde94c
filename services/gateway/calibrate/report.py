"""The study in figures: the command's table and object, and its page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.gateway.calibrate.measured import Measured
from services.gateway.calibrate.study import FOLDS, Study
from services.gateway.fusion.calibration import Curve
from services.gateway.fusion.calibration import Table as Curves
from services.runtime.images.folder import LeftOut
from services.runtime.report import page
from services.runtime.report.page import Block, Chart, Line, Section, Table, Text

HEAD = ("", "FNIR", "95 %", "at FPIR", "identified", "strangers named", "wrong names", "Cllr", "by scores")
_MEANING = Text(
    "In the terms of NIST's 1:N tests: FPIR is the share of strangers who get anybody's name, FNIR the share of known "
    "people who do not get their own. The threshold is set so that one stranger is named, the finest FPIR that so many "
    "support; the interval is a bootstrap over moments. The three shares after it are the gateway's as it is set up: "
    "known people identified as who they are, strangers named, and wrong names among all names. Near-duplicates count "
    "as one picture."
)
_CLLR = Text(
    "Cllr is what the log-likelihood ratios cost: 0 is perfect, 1 is worth as much as saying nothing, more misleads. "
    "The last column is the same if scores were probabilities."
)
_CURVES = Text(
    "A candidate's log-likelihood ratio is intercept + slope x log(score / (1 - score)), from 0 to the most that the "
    "pictures support: the logarithm of strangers' moments and one. Trained and enrolled people have their own curves."
)
_RELIABILITY = Text(
    "Names sorted by probability into parts of equal size, if every second face were known: the mean probability of "
    "each against the share of right names. On the diagonal they are worth what they say; below it they promise too "
    "much."
)
_LEFT_OUT = Text(
    "There is no folder unknown/, so known people stood in for strangers: their own names were taken out of the "
    "answers. Recognizers that tell the best candidate alone look better than they are. Real strangers are worth more."
)


def rows(study: Study) -> list[Sequence[str]]:
    """Return a row for each recognizer and for the fusion; HEAD names the columns."""
    return [_row(one) for one in (*study.recognizers, study.fusion, study.by_scores)]


def facts(study: Study) -> dict[str, Any]:
    """Return the measurements for programs."""
    measured = (*study.recognizers, study.fusion, study.by_scores)
    return {
        "known_moments": study.known,
        "stranger_moments": study.strangers,
        "strangers_left_out": study.leaves_out,
        "fnir_difference": {"to": study.best, "low": study.difference[0], "high": study.difference[1]},
        "measured": [_object(one) for one in measured],
        **study.table.model_dump(exclude_none=True),
    }


def write(path: Path, study: Study, left_out: Sequence[LeftOut]) -> None:
    """Write the page."""
    low, high = study.difference
    difference = (
        f"FNIR of the fusion less that of {study.best}, the best recognizer: {low:+.1%} to {high:+.1%} in 95 % of the "
        f"samples. Measured in {FOLDS} parts, each by curves of the other {FOLDS - 1}."
    )
    summary: list[Block] = [Table(HEAD, rows(study)), Text(difference), _MEANING, _CLLR]
    if study.leaves_out:
        summary.append(_LEFT_OUT)
    sections = [
        Section("Curves", [_CURVES, _curves(study.table)]),
        Section("What probabilities mean", [_RELIABILITY, *map(_chart, (study.fusion, *study.recognizers))]),
        page.left_out(left_out),
    ]
    title = f"Calibration: {study.known:.0f} moments of known people, {study.strangers:.0f} of strangers"
    page.write(path, title, summary, sections)


def _row(one: Measured) -> Sequence[str]:
    low, high = one.interval
    costs = ("" if cost is None else f"{cost:.3f}" for cost in (one.cllr, one.raw_cllr))
    shares = (f"{share:.1%}" for share in (one.identified, one.false_names, one.wrong))
    return (
        one.name,
        f"{one.misses.fnir:.1%}",
        f"{low:.1%} to {high:.1%}",
        f"1/{one.misses.strangers:.0f}",
        *shares,
        *costs,
    )


def _object(one: Measured) -> dict[str, Any]:
    fnir = {"fnir": one.misses.fnir, "low": one.interval[0], "high": one.interval[1], "fpir": 1 / one.misses.strangers}
    shares = {"identified": one.identified, "strangers_named": one.false_names, "wrong_names": one.wrong}
    reliability = [dict(zip(("probability", "right", "weight"), row, strict=True)) for row in one.reliability]
    costs = {"cllr": one.cllr, "raw_cllr": one.raw_cllr}
    return {"name": one.name, "threshold": one.misses.threshold, **fnir, **shares, **costs, "reliability": reliability}


def _curves(table: Curves) -> Table:
    kinds = [
        (f"{name}, {kind}", f"{own.model} {own.version}", curve)
        for name, own in table.recognizers.items()
        for kind, curve in (("trained", own.trained), ("enrolled", own.enrolled))
        if curve is not None
    ]
    return Table(
        ("recognizer", "model", "slope", "intercept", "most"),
        [(name, model, *_numbers(curve)) for name, model, curve in kinds],
    )


def _numbers(curve: Curve) -> Sequence[str]:
    return [f"{value:.2f}" for value in (curve.slope, curve.intercept, curve.most)]


def _chart(one: Measured) -> Chart:
    points = [(probability, right) for probability, right, _ in one.reliability]
    return Chart("probability", "share of right names", [Line(points, one.name)], diagonal=True)
