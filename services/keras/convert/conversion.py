"""The conversion of one model: load, write, compare."""

import json
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from services.keras.assets import PATH, Activation, Assets, explain
from services.keras.convert.model_file import ModelFile, ModelProblem, step
from services.keras.convert.source import ASSETS_SUFFIX
from services.keras.fetch import manifest
from services.keras.preprocess import Pixels, fitted
from services.runtime.errors import Misconfigured
from services.runtime.storage import files

Facts = dict[str, Any]
"""Contents of marquee.json: the assets, and where the model comes from."""


@dataclass(frozen=True)
class Conversion:
    """What came of a conversion."""

    activation: Activation
    """Whether labels exclude each other; see Assets."""
    differences: dict[str, float]
    """Maximum difference of a score from the original's, by format."""
    onnx_problem: str
    """Why there is no ONNX copy; empty if there is one."""

    @property
    def facts(self) -> Facts:
        """What marquee.json says of it."""
        problem = {"onnx_problem": self.onnx_problem} if self.onnx_problem else {}
        return {"activation": self.activation, "differences": self.differences} | problem


def check_out(out: Path) -> None:
    """Raise ModelProblem unless a version can be written to the folder."""
    if not (out.name.isdecimal() and out.name == str(int(out.name)) and int(out.name)):
        raise ModelProblem(f"{out}: TensorFlow Serving takes the folder's name for the version: end it with a number.")
    if out.exists():
        raise ModelProblem(f"{out} exists already. Give the version another number, or remove it.")


def read_facts(model: Path, assets: Path | None, overrides: Mapping[str, Any]) -> Facts:
    """Return the facts in the file at `assets`, by default the model's .marquee.json, with the overrides.

    All assets are among them, except an activation that nobody named. Raises ModelProblem.
    """
    beside = model.with_suffix(ASSETS_SUFFIX)
    facts = _read_json(assets or beside) if assets or beside.is_file() else {}
    facts = {"detector": "yunet", **facts, **overrides}
    try:
        complete = Assets.model_validate(facts).model_dump(mode="json")
    except ValidationError as exc:
        hint = "" if "labels" in facts else " Name them with --labels, in class order."
        raise ModelProblem(f"The model's assets: {explain(exc)}.{hint}") from exc
    return facts | {name: value for name, value in complete.items() if name in facts or name != "activation"}


def convert(
    file: ModelFile, facts: Facts, samples: Path | None, out: Path, allowed: Collection[str] = ()
) -> Conversion:
    """Write the version whole or not at all.

    Scores are compared on the pictures in `samples`, by default on noise. A SavedModel may have the operations
    `allowed`, besides those that are known to be harmless. Raises ModelProblem.
    """
    partial = out.with_name(f".converting-{out.name}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        conversion = _write(file, facts, samples, partial, allowed)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return conversion


def _write(file: ModelFile, facts: Facts, samples: Path | None, folder: Path, allowed: Collection[str]) -> Conversion:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # else it writes about them on some processors
    with step("Starting TensorFlow"):  # it takes seconds, which a refusal need not
        from services.keras.convert import activation, agreement, export  # noqa: PLC0415
        from services.keras.convert.load import load  # noqa: PLC0415

    assets = Assets.model_validate(facts)
    with step(f"Loading {file.path}"):
        original = load(file, allowed)
    _check_fit(assets, original.classes, original.channels, original.dtype)
    with step("Scoring pictures with the original"):
        pixels = agreement.sample_pictures(fitted(assets, original.size, original.channels), samples)
        values = agreement.original_values(original, pixels, assets.preprocessing)
        model, meaning = activation.activate(original, values, facts.get("activation"))
        scores = values if model is original else agreement.original_values(model, pixels, assets.preprocessing)
    with step("Writing the SavedModel"):
        serve = export.serving_function(model, assets.preprocessing)
        export.write_saved_model(model, serve, folder)
        export.write_warmup(model, file.path.stem, folder / export.WARMUP_FILE)
    with step("Scoring pictures with the SavedModel"):
        difference = agreement.difference(folder, pixels, scores)
    onnx, problem = _write_onnx(serve, folder / export.ONNX_FILE, pixels, scores)
    conversion = Conversion(meaning, {"SavedModel": difference} | onnx, problem)
    _write_json(facts | _origin(file) | conversion.facts | {"versions": export.versions()}, folder / PATH)
    manifest.write(manifest.describe(folder), folder)
    return conversion


def _write_onnx(
    serve: Any, path: Path, pixels: Pixels, scores: npt.NDArray[np.float32]
) -> tuple[dict[str, float], str]:
    """Write the ONNX copy; return its difference by format, or why there is none. Only the local stand-in needs it."""
    from services.keras.convert import agreement, export  # noqa: PLC0415 - see _write

    try:
        with step("The ONNX copy"):
            export.write_onnx(serve, path)
            return {"ONNX": agreement.onnx_difference(path, pixels, scores)}, ""
    except ModelProblem as exc:
        path.unlink(missing_ok=True)
        return {}, str(exc)


def _check_fit(assets: Assets, classes: int, channels: int, dtype: str) -> None:
    if not assets.fits(classes):
        raise ModelProblem(f"The model gives {classes} scores; the labels are {', '.join(assets.labels)}.")
    if dtype == "uint8" and assets.preprocessing != "none":
        raise ModelProblem(
            f"The model takes uint8 and preprocesses it itself: leave out --preprocessing {assets.preprocessing}."
        )
    try:
        assets.check_channels(channels)
    except Misconfigured as exc:
        raise ModelProblem(exc.message) from exc


def _origin(file: ModelFile) -> Facts:
    model = file.path / "saved_model.pb" if file.path.is_dir() else file.path
    return {"source": {"file": file.path.name, "sha256": manifest.sha256_of(model), "saved_by": file.maker}}


def _read_json(path: Path) -> Facts:
    try:
        facts = json.loads(path.read_bytes())
    except ValueError as exc:
        raise ModelProblem(f"{path} is not JSON: {exc}.") from exc
    if not isinstance(facts, dict):
        raise ModelProblem(f"{path} is not a JSON object with labels and the like.")
    return facts


def _write_json(facts: Facts, path: Path) -> None:
    files.write(path, f"{json.dumps(facts, indent=2, ensure_ascii=False)}\n")
