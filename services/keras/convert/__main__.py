"""Makes a Keras model ready for TensorFlow Serving: `python -m services.keras.convert SOURCE OUT/1`.

SOURCE is a .h5 or .keras file or a SavedModel's folder, on a disk or at s3://BUCKET/KEY; labels and the like
come from SOURCE's .marquee.json, which the trainer writes beside it, or from options. OUT/1 gets a SavedModel
that takes uint8 pictures, the same as model.onnx, labels, warmup requests and a manifest, once its scores were
found equal to those of the original. Runs where the extra `train` is installed. Exits with 2, and says what to
do, where the model cannot be converted; OUT/1 is then not there.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from rich.console import Console

from services.keras.assets import PATH, Assets, Preprocessing, explain
from services.keras.convert.model_file import ModelFile, ModelProblem, inspect
from services.keras.convert.source import ASSETS_SUFFIX, local_copy
from services.keras.fetch import manifest

_OVERRIDES = ("labels", "threshold", "preprocessing", "regions", "kind")
_console = Console(stderr=True, highlight=False, soft_wrap=True)


def main(arguments: list[str] | None = None) -> int:
    """Inspects, loads, writes, compares; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        _check_place(options.out)
        with local_copy(options.source, options.s3_endpoint_url) as path:
            _convert(inspect(path), _facts(path, options), options)
    except (ModelProblem, OSError) as exc:
        _console.print(f"Not converted. {exc}", markup=False, style="red")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.keras.convert", description="Makes a Keras model ready for TensorFlow Serving."
    )
    parser.add_argument("source", metavar="SOURCE", help=".h5, .keras or a SavedModel's folder; a path or s3://…")
    parser.add_argument("out", type=Path, metavar="OUT/VERSION", help="folder to write; its name is a number")
    parser.add_argument("--assets", type=Path, help="labels and the like (SOURCE's .marquee.json)")
    parser.add_argument("--labels", type=_labels, metavar="A,B,…", help="in class order")
    parser.add_argument("--threshold", type=float, help="a label counts whose score is above it (0.5)")
    parser.add_argument("--preprocessing", choices=get_args(Preprocessing), help="what the training did (none)")
    parser.add_argument("--regions", choices=("image", "faces"), help="what the network looks at (image)")
    parser.add_argument("--kind", choices=("label", "identity"), help="what the labels are (label)")
    parser.add_argument("--samples", type=Path, metavar="DIR", help="pictures to compare scores on (made ones)")
    parser.add_argument("--s3-endpoint-url", help="another S3 than Amazon's")
    return parser


def _labels(text: str) -> list[str]:
    return [label.strip() for label in text.split(",")]


def _check_place(out: Path) -> None:
    if not (out.name.isdecimal() and out.name == str(int(out.name)) and int(out.name)):
        raise ModelProblem(f"{out}: TensorFlow Serving takes the folder's name for the version: end it with a number.")
    if out.exists():
        raise ModelProblem(f"{out} is there already. Give the version another number, or remove it.")


def _facts(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """What marquee.json says: the file's facts with the options over them."""
    beside = path.with_suffix(ASSETS_SUFFIX)
    told = _read_facts(options.assets or beside) if options.assets or beside.is_file() else {}
    given = {name: value for name in _OVERRIDES if (value := getattr(options, name)) is not None}
    try:
        assets = Assets.model_validate(told | given)
    except ValidationError as exc:
        hint = "" if "labels" in told | given else " Name them with --labels, in class order."
        raise ModelProblem(f"The model's assets: {explain(exc)}.{hint}") from exc
    return told | assets.model_dump(mode="json")


def _read_facts(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_bytes())
    except ValueError as exc:
        raise ModelProblem(f"{path} is no JSON: {exc}.") from exc
    if not isinstance(told, dict):
        raise ModelProblem(f"{path} is no JSON object with labels and the like.")
    return told


def _convert(file: ModelFile, facts: dict[str, Any], options: argparse.Namespace) -> None:
    out: Path = options.out
    fresh = out.with_name(f".converting-{out.name}")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        differences = _write(file, facts, options.samples, fresh)
        fresh.rename(out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    told = ", ".join(f"{name} {difference:.1e}" for name, difference in differences.items())
    _console.print(f"{file.path.name}, saved by {file.maker}; scores differ by at most: {told}", markup=False)
    _console.print(f"written to {out}", markup=False)


def _write(file: ModelFile, facts: dict[str, Any], samples: Path | None, folder: Path) -> dict[str, float]:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # seconds of TensorFlow that a refusal need not take
    from services.keras.convert import agreement, export  # noqa: PLC0415
    from services.keras.convert.loading import load  # noqa: PLC0415

    assets = Assets.model_validate(facts)
    model = load(file)
    _check_fit(assets, model.classes, model.dtype)
    pixels = agreement.sample_pictures(model.size, samples)
    expected = agreement.expected_scores(model, pixels, assets.preprocessing)
    serve = export.serving_function(model, assets.preprocessing)
    export.write_saved_model(model, serve, folder)
    export.write_onnx(serve, folder / export.ONNX_FILE)
    export.write_warmup(model, file.path.stem, folder / export.WARMUP_FILE)
    differences = agreement.differences(folder, pixels, expected)
    _check_agreement(differences, agreement.TOLERANCES)
    _write_facts(facts | _origin(file) | {"differences": differences, "versions": export.versions()}, folder / PATH)
    manifest.write(manifest.describe(folder), folder)
    return differences


def _check_fit(assets: Assets, classes: int, dtype: str) -> None:
    if not assets.fits(classes):
        raise ModelProblem(f"The model gives {classes} scores; the labels are {', '.join(assets.labels)}.")
    if dtype == "uint8" and assets.preprocessing != "none":
        raise ModelProblem(f"The model takes uint8 and prepares it itself; --preprocessing {assets.preprocessing}?")


def _check_agreement(differences: dict[str, float], tolerances: dict[str, float]) -> None:
    for name, difference in differences.items():
        if not difference <= tolerances[name]:  # a NaN is no agreement
            raise ModelProblem(f"The {name}'s scores differ by {difference:.1e} from the original's; nothing is kept.")


def _origin(file: ModelFile) -> dict[str, Any]:
    where = file.path / "saved_model.pb" if file.path.is_dir() else file.path
    return {"source": {"file": file.path.name, "sha256": manifest.sha256_of(where), "saved_by": file.maker}}


def _write_facts(facts: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{json.dumps(facts, indent=2, ensure_ascii=False)}\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
