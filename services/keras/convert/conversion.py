"""The conversion of one model: load, write, compare."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from services.keras.assets import PATH, Assets, explain
from services.keras.convert.model_file import ModelFile, ModelProblem
from services.keras.convert.source import ASSETS_SUFFIX
from services.keras.fetch import manifest
from services.runtime.storage import files

Facts = dict[str, Any]
"""Contents of marquee.json: the assets, and where the model comes from."""


def check_out(out: Path) -> None:
    """Raise ModelProblem unless a version can be written to the folder."""
    if not (out.name.isdecimal() and out.name == str(int(out.name)) and int(out.name)):
        raise ModelProblem(f"{out}: TensorFlow Serving takes the folder's name for the version: end it with a number.")
    if out.exists():
        raise ModelProblem(f"{out} exists already. Give the version another number, or remove it.")


def read_facts(model: Path, assets: Path | None, overrides: Mapping[str, Any]) -> Facts:
    """Return the facts in the file at `assets`, by default the model's .marquee.json, with the overrides.

    Raises ModelProblem.
    """
    beside = model.with_suffix(ASSETS_SUFFIX)
    facts = _read_json(assets or beside) if assets or beside.is_file() else {}
    facts |= overrides
    try:
        return facts | Assets.model_validate(facts).model_dump(mode="json")
    except ValidationError as exc:
        hint = "" if "labels" in facts else " Name them with --labels, in class order."
        raise ModelProblem(f"The model's assets: {explain(exc)}.{hint}") from exc


def convert(file: ModelFile, facts: Facts, samples: Path | None, out: Path) -> dict[str, float]:
    """Write the version whole or not at all; return the maximum difference of scores by format.

    Scores are compared on the pictures in `samples`, by default on noise. Raises ModelProblem.
    """
    partial = out.with_name(f".converting-{out.name}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        differences = _write(file, facts, samples, partial)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return differences


def _write(file: ModelFile, facts: Facts, samples: Path | None, folder: Path) -> dict[str, float]:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow takes seconds, which a refusal need not
    from services.keras.convert import agreement, export  # noqa: PLC0415
    from services.keras.convert.load import load  # noqa: PLC0415

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
    _write_json(facts | _origin(file) | {"differences": differences, "versions": export.versions()}, folder / PATH)
    manifest.write(manifest.describe(folder), folder)
    return differences


def _check_fit(assets: Assets, classes: int, dtype: str) -> None:
    if not assets.fits(classes):
        raise ModelProblem(f"The model gives {classes} scores; the labels are {', '.join(assets.labels)}.")
    if dtype == "uint8" and assets.preprocessing != "none":
        raise ModelProblem(
            f"The model takes uint8 and preprocesses it itself: leave out --preprocessing {assets.preprocessing}."
        )


def _check_agreement(differences: dict[str, float], tolerances: dict[str, float]) -> None:
    for name, difference in differences.items():
        if not difference <= tolerances[name]:  # NaN fails too
            raise ModelProblem(
                f"The {name}'s scores differ by {difference:.1e} from the original's; nothing was written."
            )


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
