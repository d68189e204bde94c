"""Measure what the fusion is worth on recognizers that really differ, from the answers that recognizers.py keeps.

usage: PYTHONPATH=. python bench/fusion/measure.py ANSWERS.json [--identify-score 0] [--strangers 0.1] [--threshold 0.8]

Prints a Markdown table. Each fold is tested with recognizers that were trained on three of the others. The table for it
is fitted on answers about the other four, by recognizers that had seen neither these nor the tested fold; strangers in
it are the actors who are known where it is tested, and nobody else. FNIR as services/gateway/evaluation/measures.py has
it, over all tests, where one stranger's moment is named, or the share --strangers of them; intervals by bootstrap over
groups of near-duplicates. --identify-score replaces that of all models: at 0 every candidate counts, and the table
alone decides what is worth something.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.calibrate.measured import FUSION, Measured, Measuring
from services.gateway.calibrate.study import table_of
from services.gateway.calibrate.trials import Subject, Trials, Voice
from services.gateway.evaluation.pictures import Picture
from services.gateway.evaluation.survey import Answer
from services.gateway.evaluation.verdicts import Rule
from services.gateway.fusion.calibration import Table
from services.runtime.people import person_id_of

_BOX = pb.BoundingBox(left=0.1, top=0.1, width=0.8, height=0.8)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("answers", type=Path)
    parser.add_argument("--prior-unknown", type=float, default=0.5)
    parser.add_argument("--identify-score", type=float)
    parser.add_argument("--strangers", type=float)
    parser.add_argument("--threshold", type=float, default=0.5)
    args = parser.parse_args()
    told = json.loads(args.answers.read_text())
    if args.identify_score is not None:
        for own in (own for run in told["runs"] for own in run["recognizers"].values()):
            own["identify_score"] = args.identify_score
    tables = {
        (fold, stranger): _table(told, fold, stranger)
        for fold in range(len(told["folds"]))
        for stranger in range(len(told["people"]))
    }
    tested = [
        (answer, tables[fold, run["stranger"]])
        for run in told["runs"]
        for fold in run["folds"]
        for answer in _answers(told, run, fold)
    ]
    subject = Subject([answer for answer, _ in tested])
    rule = Rule(prior_unknown=args.prior_unknown, threshold=args.threshold)
    known, strangers = subject.moments(strange=False), subject.moments(strange=True)
    accepted = strangers * args.strangers if args.strangers else 1.0
    measuring = Measuring(subject, rule, [table for _, table in tested], accepted)
    names = list(told["runs"][0]["recognizers"])
    rows = [measuring.recognizer(name, Voice.of(subject, name)) for name in names]
    best = min(rows, key=lambda row: row.misses.fnir).name
    rows += [measuring.fusion(), measuring.by_scores()]
    print(f"{len(tested)} answers: {known:.0f} moments of known people, {strangers:.0f} of strangers\n")
    fnir = f"FNIR at FPIR {accepted:.3g}/{strangers:.0f} (95 %)"
    print(f"| | {fnir} | identified | strangers named | wrong among names | Cllr |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        print(_row(row))
    low, high = measuring.difference(FUSION, best)
    print(f"\nFNIR of the fusion less that of {best}: 95 % from {low:+.3f} to {high:+.3f}")


def _row(row: Measured) -> str:
    low, high = row.interval
    cllr = "" if row.cllr is None else f"{row.cllr:.3f}"
    shares = " | ".join(f"{share:.1%}" for share in (row.identified, row.false_names, row.wrong))
    return f"| {row.name} | {row.misses.fnir:.1%} ({low:.1%} to {high:.1%}) | {shares} | {cllr} |"


def _table(told: dict[str, Any], fold: int, stranger: int) -> Table:
    """Fit the table for testing a fold where this actor is the stranger."""
    runs = [(run, other) for run in told["runs"] for other in run["folds"] if fold in run["folds"] and other != fold]
    subject = Subject(
        [
            answer
            for run, other in runs
            for answer in _answers(told, run, other)
            if bool(answer.person) == (run["stranger"] == stranger)
        ]
    )
    models = {name: pb.Model(name=name, version="1") for name in told["runs"][0]["recognizers"]}
    return table_of(models, {name: Trials.of(subject, Voice.of(subject, name)) for name in models})


def _answers(told: dict[str, Any], run: dict[str, Any], fold: int) -> Iterator[Answer]:
    for face in told["folds"][fold]:
        owner = told["owners"][face]
        person = "" if owner == run["stranger"] else person_id_of(told["people"][owner])
        picture = Picture(Path(), told["people"][owner], person, str(told["groups"][face]))
        results = [_result(name, own, str(face)) for name, own in run["recognizers"].items()]
        yield Answer(picture, pb.RecognizeImageResponse(results=results))


def _result(name: str, own: dict[str, Any], face: str) -> pb.RecognizerResult:
    candidates = [
        pb.Candidate(person_id=person_id_of(person), display_name=person, score=score)
        for person, score in own["candidates"][face]
    ]
    model = pb.Model(name=name, version="1", identify_score=own["identify_score"])
    faces = [pb.Face(box=_BOX, candidates=candidates)]
    performed = [pb.FEATURE_CELEBRITIES]
    return pb.RecognizerResult(
        recognizer=name, outcome=pb.OUTCOME_OK, model=model, faces=faces, performed_features=performed
    )


if __name__ == "__main__":
    main()
