"""Trains a model for the SVM recognizer: `python -m services.svm.train DIR --out MODEL.skops`.

DIR, or s3://BUCKET/PREFIX, has a folder of pictures per person. Every picture should show one face.
What cannot be used is left out and listed, and what was measured is written as a page beside the model.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from services.svm import artifact
from services.svm.classifiers import SCALERS
from services.svm.faces.detector import FaceFinder
from services.svm.recipes.recipe import RECIPES
from services.svm.train import report
from services.svm.train.cleaning import cleaned
from services.svm.train.dataset import TrainingError, TrainingSet, alike_only, pictures, training_set
from services.svm.train.fit import Fitted, fit
from services.svm.train.holdout import held_out_test
from services.svm.train.samples import NO_FACE, Looker, Sample
from services.svm.train.sources import local_folder


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains. Exits with 2, and says what to change, where it cannot."""
    asked = _parse(arguments)
    try:
        with local_folder(asked.source, asked.s3_endpoint_url) as folder:
            _train(folder, asked, Console(soft_wrap=True))
    except (TrainingError, OSError) as exc:
        Console(stderr=True, soft_wrap=True).print(f"[red]Not trained.[/] {escape(str(exc))}", highlight=False)
        sys.exit(2)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m services.svm.train", description="Trains an SVM on faces.")
    parser.add_argument("source", metavar="DIR", help="pictures in a folder per person, or s3://BUCKET/PREFIX")
    parser.add_argument("--recipe", choices=RECIPES, default="embedding", help="(%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("model.skops"), help="file to write (%(default)s)")
    parser.add_argument("--report", type=Path, help="page to write (the model's name with .html)")
    parser.add_argument("--scaler", choices=SCALERS, default="minmax", help="of the wavelet recipe (%(default)s)")
    parser.add_argument(
        "--faces",
        choices=("haar", "haar+hog"),
        help="haar: with two eyes, as published (the wavelet recipe's); haar+hog: as in recognizing (the others')",
    )
    parser.add_argument(
        "--false-accepts",
        type=float,
        metavar="SHARE",
        help="of held-out strangers' faces that may pass for somebody (embedding: 0.01; the other recipes know "
        "strangers badly: as many as pass where 19 of 20 known faces do)",
    )
    parser.add_argument("--s3-endpoint-url", help="another S3 than Amazon's")
    asked = parser.parse_args(arguments)
    if asked.recipe == "embedding" and asked.false_accepts is None:
        asked.false_accepts = 0.01
    return asked


def _train(folder: Path, asked: argparse.Namespace, console: Console) -> None:
    _check(asked)
    begin = time.perf_counter()
    samples = cleaned(_look(folder, asked, console))
    looked = time.perf_counter() - begin
    _show(samples, folder, console)
    faces = training_set(samples, asked.recipe)
    with console.status("Cross-validating"):
        begin = time.perf_counter()
        fitted = fit(faces, asked.scaler, asked.false_accepts)
        held_out = held_out_test(faces, asked.scaler, asked.false_accepts)
        seconds = {"seconds_looking": round(looked, 1), "seconds_fitting": round(time.perf_counter() - begin, 1)}
    fitted.report.update(seconds | (held_out.report() if held_out else {}))
    _save(faces, fitted, asked.out)
    page = asked.report or asked.out.with_suffix(".html")
    report.write(page, folder, samples, faces, fitted)
    _tell(fitted, asked.out, page, console)


def _check(asked: argparse.Namespace) -> None:
    """Before minutes are spent on the pictures."""
    if asked.false_accepts is not None and not 0 <= asked.false_accepts < 1:
        raise TrainingError(f"--false-accepts is {asked.false_accepts}; it must be at least 0 and below 1.")
    for path in filter(None, (asked.out, asked.report)):
        if path.parts[:1] == ("s3:",):
            raise TrainingError(f"{path} is to be on this machine's disk. Copy it to S3 afterwards.")
        if path.is_dir():
            raise TrainingError(f"{path} is a folder. Name a file in it, such as {path / 'model.skops'}.")


def _look(folder: Path, asked: argparse.Namespace, console: Console) -> list[Sample]:
    published = (asked.faces or ("haar" if asked.recipe == "wavelet" else "haar+hog")) == "haar"
    finder = FaceFinder()
    looker = Looker(finder.find_as_published if published else finder.find, RECIPES[asked.recipe]())
    found = pictures(folder)
    return [looker.look(one) for one in track(found, "Finding faces", console=console, transient=True)]


def _show(samples: Sequence[Sample], folder: Path, console: Console) -> None:
    """Tells of every picture that is left out, of near-duplicates, and of how many are used."""
    for sample in samples:
        if sample.problem:
            name = escape(str(sample.path.relative_to(folder)))
            console.print(f"left out, {escape(sample.problem)}: {name}", highlight=False)
    for name in alike_only(samples):
        console.print(f"all alike: {escape(name)}'s pictures are near-duplicates; what is measured will be too good")
    table = Table("person", "pictures", "used", "of different moments", "no face", "other problems", "unreadable")
    for name in sorted({sample.folder for sample in samples}):
        table.add_row(escape(name), *_counts([sample for sample in samples if sample.folder == name]))
    console.print(table)


def _counts(samples: Sequence[Sample]) -> list[str]:
    used = [sample for sample in samples if sample.usable]
    no_face = sum(sample.problem == NO_FACE for sample in samples)
    other = sum(bool(sample.problem) for sample in samples) - no_face
    unreadable = sum(bool(sample.unreadable) for sample in samples)
    moments = len({sample.group for sample in used})
    return [str(count) for count in (len(samples), len(used), moments, no_face, other, unreadable)]


def _save(faces: TrainingSet, fitted: Fitted, path: Path) -> None:
    trained = artifact.Artifact(
        recipe=faces.recipe,
        pipeline=fitted.pipeline,
        gallery=fitted.gallery,
        calibration=fitted.calibration,
        report=fitted.report,
        data_sha256=faces.sha256,
    )
    artifact.save(trained, path)


def _tell(fitted: Fitted, path: Path, page: Path, console: Console) -> None:
    for name, value in fitted.report.items():
        console.print(f"{name}: {value:.3f}" if isinstance(value, float) else f"{name}: {value}", highlight=False)
    console.print(f"Wrote {escape(str(path))}, {path.stat().st_size / 1e6:.2f} MB, and {escape(str(page))}")


if __name__ == "__main__":
    main()
