"""Convert a Keras model for TensorFlow Serving: `python -m services.keras.convert SOURCE OUT/1`.

SOURCE is a .h5 or .keras file or a SavedModel's folder, on disk or at s3://BUCKET/KEY. Labels and the like come
from SOURCE's .marquee.json, which the trainer writes beside it, or from options. OUT/1 gets a SavedModel that takes
uint8 pictures, the same as model.onnx, labels, warmup requests and a manifest, once its scores have been found equal
to the original's. Requires the extra `train`.

Exit 0 if OUT/1 was written, also if there is no model.onnx, which only the local stand-in needs: the output says why.
If the model cannot be converted, exit 2, say what to do, and leave no OUT/1.
"""

import argparse
import sys
from pathlib import Path
from typing import get_args

from rich.console import Console

from services.keras.assets import Activation, Detector, Fit, Interpolation, Preprocessing
from services.keras.convert.conversion import Conversion, check_out, convert, read_facts
from services.keras.convert.labels import LabelsProblem, read_labels
from services.keras.convert.model_file import ModelFile, ModelProblem, inspect, step
from services.keras.convert.source import local_copy

_OVERRIDES = (
    *("labels", "threshold", "activation", "preprocessing", "interpolation", "fit"),
    *("regions", "detector", "kind"),
)
_console = Console(stderr=True, highlight=False, soft_wrap=True)


def main(arguments: list[str] | None = None) -> int:
    """Inspect, load, write and compare; return the exit code."""
    args = _parser().parse_args(arguments)
    try:
        with step("The conversion"):
            _convert(args)
    except ModelProblem as exc:
        _console.print(f"Not converted. {exc}", markup=False, style="red")
        return 2
    return 0


def _convert(args: argparse.Namespace) -> None:
    check_out(args.out)
    overrides = {name: value for name in _OVERRIDES if (value := getattr(args, name)) is not None}
    with local_copy(args.source, args.s3_endpoint_url) as path:
        file = inspect(path)
        facts = read_facts(path, args.assets, overrides)
        _print(file, convert(file, facts, args.samples, args.out, args.allow_operation))
    _console.print(f"written to {args.out}", markup=False)


def _print(file: ModelFile, conversion: Conversion) -> None:
    differences = ", ".join(f"{name} {difference:.1e}" for name, difference in conversion.differences.items())
    _console.print(f"{file.path.name}, saved by {file.maker}; scores differ by at most: {differences}", markup=False)
    _console.print(f"activation: {conversion.activation}", markup=False)
    if conversion.onnx_problem:
        text = f"without model.onnx, so that the local stand-in needs TensorFlow: {conversion.onnx_problem}"
        _console.print(text, markup=False, style="yellow")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.keras.convert", description="Convert a Keras model for TensorFlow Serving."
    )
    add = parser.add_argument
    add("source", metavar="SOURCE", help=".h5 file, .keras file or SavedModel folder; a path or s3://…")
    add("out", type=Path, metavar="OUT/VERSION", help="folder to write; its name is a number")
    add("--assets", type=Path, help="JSON file with labels and the like (default: SOURCE's .marquee.json)")
    add("--labels", type=_labels, metavar="A,B,…|FILE", help="labels, in class order; FILE: one a line, or JSON")
    add("--threshold", type=float, help="score above which a label counts (default: 0.5)")
    add(
        "--activation",
        choices=get_args(Activation),
        help="what the model's logits need (default: it ends with its own)",
    )
    add("--preprocessing", choices=get_args(Preprocessing), help="preprocessing of the training (default: none)")
    add("--interpolation", choices=get_args(Interpolation), help="how the training resized (default: nearest)")
    add("--fit", choices=get_args(Fit), help="how it made pictures of another shape fit (default: stretch)")
    add("--regions", choices=("image", "faces"), help="what the network takes (default: image)")
    add("--detector", choices=get_args(Detector), help="what finds the faces that it takes (default: yunet)")
    add("--kind", choices=("label", "identity"), help="what the labels are (default: label)")
    add("--samples", type=Path, metavar="DIR", help="pictures to compare scores on (default: generated noise)")
    add("--allow-operation", action="append", default=[], metavar="NAME", help="accept this operation of a SavedModel")
    add("--s3-endpoint-url", help="URL of an S3-compatible server (default: Amazon S3)")
    return parser


def _labels(text: str) -> list[str]:
    try:
        return read_labels(text)
    except LabelsProblem as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


if __name__ == "__main__":
    sys.exit(main())
