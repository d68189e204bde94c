"""Trains a Keras classifier: `python -m services.keras.train DIR --out MODEL.keras`.

DIR has a folder of pictures for each label. Beside MODEL.keras (or .h5) come MODEL.marquee.json, which tells
services.keras.convert what the labels are, and MODEL.html with what was measured. Runs where the extra `train`
is installed; the recognizer itself needs none of it. Exits with 2 where the pictures cannot be trained on.
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
from services.keras.train import metrics, report
from services.keras.train.dataset import DataProblem, Dataset, hold_out, read_dataset
from services.runtime.storage import files

if TYPE_CHECKING:
    from services.keras.train.network import Fitted

Held = npt.NDArray[np.bool_]
_HELD_SHARE = 0.2
_console = Console(stderr=True, highlight=False, soft_wrap=True)


def main(arguments: list[str] | None = None) -> int:
    """Reads, trains, writes; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        dataset = read_dataset(options.folder, lambda paths: track(paths, "reading", console=_console), options.labels)
        _train(dataset, hold_out(dataset, _HELD_SHARE, options.seed), options)
    except (DataProblem, OSError) as exc:
        _console.print(f"Not trained. {exc}", markup=False, style="red")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.keras.train", description="Trains a Keras classifier.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="DIR/LABEL/*.jpg, for two or more labels")
    parser.add_argument("--labels", type=_labels, default=(), metavar="A,B,…", help="folders to take, in class order")
    parser.add_argument("--out", type=_model, required=True, metavar="MODEL", help="file to write: .keras or .h5")
    parser.add_argument("--weights", type=Path, help="of MobileNetV2 without its top: a head on it is trained")
    parser.add_argument("--epochs", type=_count, default=20, help="at most so many (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="for split, weights and variations (%(default)s)")
    return parser


def _labels(text: str) -> list[str]:
    return [label.strip() for label in text.split(",")]


def _model(text: str) -> Path:
    if (path := Path(text)).suffix not in {".keras", ".h5"}:
        raise argparse.ArgumentTypeError("its name ends with .keras or .h5")
    return path


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return count


def _train(dataset: Dataset, held: Held, options: argparse.Namespace) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from services.keras.train import network  # noqa: PLC0415 - seconds of TensorFlow that bad data need not wait for

    classes = len(dataset.labels)
    if options.weights is None:
        model = network.build(classes, options.seed)
    else:
        model = network.build_on(options.weights, classes, options.seed)
    with _progress(options.epochs) as tell:
        fitted = network.fit(model, dataset, held, options.epochs, tell)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    model.save(options.out)
    facts = {"parameters": model.count_params(), "epochs": len(fitted.curves["loss"]), "seed": options.seed}
    _tell(dataset, held, fitted, facts, options.out)


def _tell(dataset: Dataset, held: Held, fitted: "Fitted", own: dict[str, Any], out: Path) -> None:
    """Writes assets and report, and says the gist."""
    threshold = metrics.best_threshold(fitted.scores, dataset.classes[held])
    table = metrics.confusion(fitted.scores, dataset.classes[held], threshold)
    facts = {"labels": dataset.labels, "threshold": threshold, **own, **_measured(dataset, held, table)}
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    files.write(out.with_suffix(ASSETS_SUFFIX), f"{text}\n")
    report.write(out.with_suffix(".html"), facts, fitted.curves, table, dataset.labels)
    _console.print("{trained_on} pictures trained on, {held_out} held out".format(**facts))
    _console.print("accuracy {accuracy}, macro F1 {macro_f1} at the threshold {threshold}".format(**facts))
    _console.print(f"{own['parameters']} parameters in {out}", markup=False)


def _measured(dataset: Dataset, held: Held, table: metrics.Classes) -> dict[str, Any]:
    return {
        "data_sha256": dataset.sha256,
        "trained_on": int((~held).sum()),
        "held_out": int(held.sum()),
        "accuracy": round(float(table.diagonal().sum() / table.sum()), 4),
        "macro_f1": round(metrics.macro_f1(table), 4),
    }


@contextmanager
def _progress(epochs: int) -> Iterator[Callable[[int, dict[str, float]], None]]:
    with Progress(console=_console) as progress:
        task = progress.add_task("training", total=epochs)

        def tell(epoch: int, found: dict[str, float]) -> None:
            text = f"training: loss {found['loss']:.3f}, held-out accuracy {found['val_accuracy']:.3f}"
            progress.update(task, completed=epoch + 1, description=text)

        yield tell


if __name__ == "__main__":
    sys.exit(main())
