"""Trains a model for the SVM recognizer: `python -m services.svm.train DIR --out MODEL.skops`.

DIR has a folder of pictures per person. Every picture should show one face; those that show none or
several are left out and listed.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from services.svm import artifact, wavelet
from services.svm.faces import FaceFinder
from services.svm.fit import Fitted, fit
from services.svm.training_set import NO_FACE, Sample, TrainingError, TrainingSet, look, pictures, training_set


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains. Exits with 2, and says what to change, where it cannot."""
    console = Console(soft_wrap=True)
    asked = _parse(arguments)
    try:
        _train(asked, console)
    except (TrainingError, OSError) as exc:
        Console(stderr=True, soft_wrap=True).print(f"[red]Not trained.[/] {escape(str(exc))}", highlight=False)
        sys.exit(2)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m services.svm.train", description="Trains an SVM on faces.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="pictures, in a folder per person")
    parser.add_argument("--out", type=Path, default=Path("model.skops"), help="file to write (%(default)s)")
    parser.add_argument("--scaler", choices=artifact.SCALERS, default="minmax", help="(%(default)s)")
    parser.add_argument(
        "--faces",
        choices=("haar", "haar+hog"),
        default="haar",
        help="haar: with two eyes, as published; haar+hog: as in recognizing, dlib too (%(default)s)",
    )
    parser.add_argument(
        "--keep",
        type=float,
        default=0.95,
        help="share of the rightly named faces whose score is enough, up to 1 (%(default)s)",
    )
    parser.add_argument("--mirror", action="store_true", help="train on every face mirrored as well")
    return parser.parse_args(arguments)


def _train(asked: argparse.Namespace, console: Console) -> None:
    if not 0 < asked.keep <= 1:
        raise TrainingError(f"--keep is {asked.keep}; it must be above 0 and at most 1.")
    samples = _look(asked, console)
    _show(samples, console)
    faces = training_set(samples)
    with console.status("Choosing C and kernel by cross-validation"):
        fitted = fit(faces, asked.scaler, asked.keep)
    _save(faces, fitted, asked)
    _tell(fitted, asked.out, console)


def _look(asked: argparse.Namespace, console: Console) -> list[Sample]:
    finder = FaceFinder()
    find = finder.find_as_published if asked.faces == "haar" else finder.find
    found = pictures(asked.folder)
    return [
        look(one, find, mirror=asked.mirror) for one in track(found, "Finding faces", console=console, transient=True)
    ]


def _show(samples: Sequence[Sample], console: Console) -> None:
    """Tells of every picture that is left out, and of how many are used."""
    for sample in samples:
        if sample.problem:
            console.print(f"left out, {sample.problem}: {escape(str(sample.path))}", highlight=False)
    table = Table("person", "pictures", "used", "no face", "several faces", "unreadable")
    for folder in sorted({sample.folder for sample in samples}):
        table.add_row(escape(folder), *_counts([sample for sample in samples if sample.folder == folder]))
    console.print(table)


def _counts(samples: Sequence[Sample]) -> list[str]:
    no_face = sum(sample.problem == NO_FACE for sample in samples)
    left_out = sum(bool(sample.problem) for sample in samples)
    unreadable = sum(bool(sample.unreadable) for sample in samples)
    used = len(samples) - left_out - unreadable
    return [str(count) for count in (len(samples), used, no_face, left_out - no_face, unreadable)]


def _save(faces: TrainingSet, fitted: Fitted, asked: argparse.Namespace) -> None:
    trained = artifact.Artifact(
        recipe=wavelet.RECIPE,
        people=faces.people,
        pipeline=fitted.pipeline,
        calibration=fitted.calibration,
        report=fitted.report | {"finder": asked.faces, "mirror": asked.mirror},
        data_sha256=faces.sha256,
    )
    artifact.save(trained, asked.out)


def _tell(fitted: Fitted, path: Path, console: Console) -> None:
    report = fitted.report
    console.print(f"SVC C={report['C']} {report['kernel']}, scaler {report['scaler']}, {report['faces']} faces")
    console.print(
        f"{report['folds']}-fold cross-validation: accuracy {report['accuracy']:.3f}, macro-F1 {report['macro_f1']:.3f}"
        " (too good where pictures of one moment fall into different folds)"
    )
    console.print(f"Faces that score below {fitted.calibration.threshold:.3f} will be nobody.")
    console.print(f"Wrote {escape(str(path))}, {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
