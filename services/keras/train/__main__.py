"""Train a Keras classifier: `python -m services.keras.train DIR --out MODEL.keras`.

DIR has a folder of pictures for each label; with --regions faces, of pictures with one face, which is cut out (requires
the extra `keras-faces`, too). What cannot be used is left out and listed. Beside MODEL.keras (or .h5),
write MODEL.marquee.json, which gives services.keras.convert the labels, and MODEL.html, a report. Requires the extra
`train`; the recognizer itself does not. If too little is left to train on, exit 2.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress, track

from services.keras.convert.source import ASSETS_SUFFIX
from services.keras.regions import Cutter
from services.keras.train import metrics, report
from services.keras.train.dataset import DataProblem, Dataset, Part, hold_out, read_dataset
from services.runtime.errors import Misconfigured
from services.runtime.images.folder import lines
from services.runtime.images.image import Image
from services.runtime.storage import files

if TYPE_CHECKING:
    from services.keras.train.network import Fit

Mask = npt.NDArray[np.bool_]
_HELD_OUT_SHARE = 0.2
_console = Console(stderr=True, highlight=False, soft_wrap=True)


def main(arguments: list[str] | None = None) -> int:
    """Read, train and write; return the exit code."""
    args = _parser().parse_args(arguments)
    try:
        _check(args)
        dataset = read_dataset(
            args.folder, lambda paths: track(paths, "reading", console=_console), args.labels, _part(args.regions)
        )
        for line in lines(dataset.left_out):
            _console.print(line, markup=False)
        _train(dataset, hold_out(dataset, _HELD_OUT_SHARE, args.seed), args)
    except (DataProblem, Misconfigured, OSError) as exc:
        _console.print(f"Not trained. {exc}", markup=False, style="red")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.keras.train", description="Train a Keras classifier.")
    add = parser.add_argument
    add("folder", type=Path, metavar="DIR", help="DIR/LABEL/*.jpg, for two or more labels")
    add("--labels", type=_labels, default=(), metavar="A,B,…", help="folders to read, in class order (default: all)")
    add("--regions", choices=("image", "faces"), default="image", help="what to train on (default: %(default)s)")
    add("--out", type=_model, required=True, metavar="MODEL", help="file to write: .keras or .h5")
    add("--weights", type=Path, help="MobileNetV2's weights without its top: train a head on it")
    add("--epochs", type=_count, default=20, help="maximum number of epochs (default: %(default)s)")
    add("--seed", type=int, default=1, help="seed of split, weights and variations (default: %(default)s)")
    return parser


def _labels(text: str) -> list[str]:
    return [label.strip() for label in text.split(",")]


def _model(text: str) -> Path:
    if (path := Path(text)).suffix not in {".keras", ".h5"}:
        raise argparse.ArgumentTypeError("must end in .keras or .h5")
    return path


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return count


def _check(args: argparse.Namespace) -> None:
    """Check before minutes are spent on the pictures."""
    if args.out.is_dir():
        raise DataProblem(f"{args.out} is a folder. Name a file in it, such as {args.out / 'model.keras'}.")
    if args.weights is not None and not args.weights.is_file():
        raise DataProblem(f"{args.weights} is not a file with weights.")
    args.out.parent.mkdir(parents=True, exist_ok=True)


def _part(regions: str) -> Part:
    """Return what cuts the one face out of a picture, as the recognizer will, or takes it whole."""
    if regions == "image":
        return Image.as_stored
    cutter = Cutter()
    cutter.load("yunet")
    return lambda image: cutter.only_face(image, "yunet")


def _train(dataset: Dataset, held_out: Mask, args: argparse.Namespace) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from services.keras.train import network  # noqa: PLC0415 - TensorFlow takes seconds, which bad data need not

    classes = len(dataset.labels)
    if args.weights is None:
        model = network.build(classes, args.seed)
    else:
        model = network.build_on(args.weights, classes, args.seed)
    with _progress(args.epochs) as on_epoch:
        fit = network.fit(model, dataset, held_out, args.epochs, on_epoch)
    model.save(args.out)
    facts = {"regions": args.regions, "detector": "yunet", "parameters": model.count_params()}
    facts |= {"epochs": len(fit.curves["loss"]), "seed": args.seed}
    _write_report(dataset, held_out, fit, facts, args.out)


def _write_report(dataset: Dataset, held_out: Mask, fit: "Fit", training: dict[str, Any], out: Path) -> None:
    """Write the assets and the report, and print a summary."""
    threshold = metrics.best_threshold(fit.scores, dataset.classes[held_out])
    table = metrics.confusion(fit.scores, dataset.classes[held_out], threshold)
    facts = {"labels": dataset.labels, "threshold": threshold, **training, **_quality(dataset, held_out, table)}
    files.write(out.with_suffix(ASSETS_SUFFIX), f"{json.dumps(facts, indent=2, ensure_ascii=False)}\n")
    report.write(out.with_suffix(".html"), facts, fit.curves, table, dataset)
    _console.print("trained on {trained_on} pictures, held out {held_out}".format(**facts))
    _console.print("accuracy {accuracy}, macro F1 {macro_f1} at the threshold {threshold}".format(**facts))
    _console.print(f"{training['parameters']} parameters in {out}", markup=False)
    for warning in dataset.warnings:
        _console.print(f"warning: {warning}", markup=False, style="yellow")


def _quality(dataset: Dataset, held_out: Mask, table: metrics.Classes) -> dict[str, Any]:
    return {
        "data_sha256": dataset.sha256,
        "trained_on": int((~held_out).sum()),
        "held_out": int(held_out.sum()),
        "left_out": len(dataset.left_out),
        "accuracy": round(float(table.diagonal().sum() / table.sum()), 4),
        "macro_f1": round(metrics.macro_f1(table), 4),
    }


@contextmanager
def _progress(epochs: int) -> Iterator[Callable[[int, dict[str, float]], None]]:
    with Progress(console=_console) as progress:
        task = progress.add_task("training", total=epochs)

        def on_epoch(epoch: int, logs: dict[str, float]) -> None:
            text = f"training: loss {logs['loss']:.3f}, held-out accuracy {logs['val_accuracy']:.3f}"
            progress.update(task, completed=epoch + 1, description=text)

        yield on_epoch


if __name__ == "__main__":
    sys.exit(main())
