"""Trains a small Keras classifier: `python -m services.keras.train DIR --out OUT`.

DIR has a folder of pictures for each label. Runs where the extra `train` is installed; the recognizer
itself needs none of it. Exits with 2 where the pictures cannot be trained on.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, track

from services.keras.dataset import DataProblem, Dataset, hold_out, read_dataset

THRESHOLD = 0.5
_HELD_SHARE = 0.2
_console = Console(stderr=True, highlight=False)


def main(arguments: list[str] | None = None) -> int:
    """Reads, trains, writes; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        dataset = read_dataset(options.folder, lambda paths: track(paths, "reading", console=_console))
        _train(dataset, options)
    except DataProblem as exc:
        _console.print(str(exc), markup=False, style="red", soft_wrap=True)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.keras.train", description="Trains a small classifier.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="DIR/LABEL/*.jpg, for two or more labels")
    parser.add_argument("--out", type=Path, required=True, help="gets model.keras and VERSION/ as it is served")
    parser.add_argument("--version", type=int, default=1, help="the served version's number (%(default)s)")
    parser.add_argument("--epochs", type=int, default=20, help="at most so many (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="for split, weights and variations (%(default)s)")
    return parser


def _train(dataset: Dataset, options: argparse.Namespace) -> None:
    held = hold_out(dataset, _HELD_SHARE, options.seed)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from services.keras import export, network  # noqa: PLC0415 - seconds of TensorFlow that bad data need not wait for

    model = network.build(len(dataset.labels), options.seed)
    with _progress(options.epochs) as tell:
        accuracy = network.fit(model, dataset, held, options.epochs, tell)
    options.out.mkdir(parents=True, exist_ok=True)
    model.save(options.out / "model.keras")
    assets = {
        "labels": dataset.labels,
        "threshold": THRESHOLD,
        "preprocessing": "none",
        "parameters": model.count_params(),
        "seed": options.seed,
        "data_sha256": dataset.sha256,
        "held_out": {"accuracy": accuracy, "pictures": int(held.sum())},
        "versions": export.VERSIONS,
    }
    path = export.write_served(model, options.out / str(options.version), assets)
    _console.print(f"{len(held) - held.sum()} pictures trained on, {held.sum()} held out: accuracy {accuracy:.3f}")
    _console.print(f"{model.count_params()} parameters; served from {path}", soft_wrap=True)


@contextmanager
def _progress(epochs: int) -> Iterator[Callable[[int, dict[str, float]], None]]:
    with Progress(console=_console) as progress:
        task = progress.add_task("training", total=epochs)

        def tell(epoch: int, measures: dict[str, float]) -> None:
            text = f"training: loss {measures['loss']:.3f}, held-out accuracy {measures['val_accuracy']:.3f}"
            progress.update(task, completed=epoch + 1, description=text)

        yield tell


if __name__ == "__main__":
    sys.exit(main())
