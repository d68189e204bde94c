"""Convert a Keras model for TensorFlow Serving: `python -m services.keras.convert SOURCE OUT/1`.

SOURCE is a .h5 or .keras file or a SavedModel's folder, on disk or at s3://BUCKET/KEY. Labels and the like come
from SOURCE's .marquee.json, which the trainer writes beside it, or from options. OUT/1 gets a SavedModel that takes
uint8 pictures, the same as model.onnx, labels, warmup requests and a manifest, once its scores have been found equal
to the original's. Requires the extra `train`. If the model cannot be converted, exit 2, say what to do, and leave no
OUT/1.
"""

import argparse
import sys
from pathlib import Path
from typing import get_args

from rich.console import Console

from services.keras.assets import Preprocessing
from services.keras.convert.conversion import check_out, convert, read_facts
from services.keras.convert.model_file import ModelProblem, inspect
from services.keras.convert.source import local_copy

_OVERRIDES = ("labels", "threshold", "preprocessing", "regions", "kind")
_console = Console(stderr=True, highlight=False, soft_wrap=True)


def main(arguments: list[str] | None = None) -> int:
    """Inspect, load, write and compare; return the exit code."""
    args = _parser().parse_args(arguments)
    try:
        _convert(args)
    except (ModelProblem, OSError) as exc:
        _console.print(f"Not converted. {exc}", markup=False, style="red")
        return 2
    return 0


def _convert(args: argparse.Namespace) -> None:
    check_out(args.out)
    overrides = {name: value for name in _OVERRIDES if (value := getattr(args, name)) is not None}
    with local_copy(args.source, args.s3_endpoint_url) as path:
        file = inspect(path)
        differences = convert(file, read_facts(path, args.assets, overrides), args.samples, args.out)
    text = ", ".join(f"{name} {difference:.1e}" for name, difference in differences.items())
    _console.print(f"{file.path.name}, saved by {file.maker}; scores differ by at most: {text}", markup=False)
    _console.print(f"written to {args.out}", markup=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.keras.convert", description="Convert a Keras model for TensorFlow Serving."
    )
    add = parser.add_argument
    add("source", metavar="SOURCE", help=".h5 file, .keras file or SavedModel folder; a path or s3://…")
    add("out", type=Path, metavar="OUT/VERSION", help="folder to write; its name is a number")
    add("--assets", type=Path, help="JSON file with labels and the like (default: SOURCE's .marquee.json)")
    add("--labels", type=_labels, metavar="A,B,…", help="labels, in class order")
    add("--threshold", type=float, help="score above which a label counts (default: 0.5)")
    add("--preprocessing", choices=get_args(Preprocessing), help="preprocessing of the training (default: none)")
    add("--regions", choices=("image", "faces"), help="what the network takes (default: image)")
    add("--kind", choices=("label", "identity"), help="what the labels are (default: label)")
    add("--samples", type=Path, metavar="DIR", help="pictures to compare scores on (default: generated noise)")
    add("--s3-endpoint-url", help="URL of an S3-compatible server (default: Amazon S3)")
    return parser


def _labels(text: str) -> list[str]:
    return [label.strip() for label in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
