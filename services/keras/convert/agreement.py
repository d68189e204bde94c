"""Comparison of a converted model's scores with the original's. Needs Keras, TensorFlow and onnxruntime."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import onnxruntime
import tensorflow as tf
from PIL import Image, UnidentifiedImageError

from services.keras.assets import Preprocessing
from services.keras.convert import export
from services.keras.convert.load import SIGNATURE, LoadedModel
from services.keras.convert.model_file import ModelProblem
from services.keras.preprocess import Pixels, to_pixels

TOLERANCES = {"SavedModel": 1e-5, "ONNX": 1e-4}
"""Maximum difference of a score; onnxruntime adds in another order than TensorFlow."""
_GENERATED = 8
_BATCH = 8
Scores = npt.NDArray[np.float32]


def sample_pictures(size: tuple[int, int], folder: Path | None) -> Pixels:
    """Return the folder's pictures as Keras loads them, or generated ones: noise of growing grain.

    Their shape is uint8 [N, *size, 3]. Raises ModelProblem.
    """
    if folder is None:
        return _noise(size)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if not paths:
        raise ModelProblem(f"{folder} has no pictures to compare scores on.")
    return np.concatenate([_read(path, size) for path in paths])


def expected_scores(model: LoadedModel, pixels: Pixels, preprocessing: Preprocessing) -> Scores:
    """Return the original's scores for pixels as Keras itself preprocesses them. Raises ModelProblem."""
    values = pixels if model.dtype == "uint8" else _preprocess(pixels, preprocessing)
    scores = _by_batches(model.predict, values)
    if not np.isfinite(scores).all():
        raise ModelProblem("The model's scores are not numbers; its weights are broken.")
    if scores.min() < 0 or scores.max() > 1:
        raise ModelProblem(
            f"The model's scores range from {scores.min():.3g} to {scores.max():.3g}; they must be 0 to 1. "
            "End the model with softmax or sigmoid."
        )
    return scores


def differences(folder: Path, pixels: Pixels, expected: Scores) -> dict[str, float]:
    """Return the maximum difference of the written SavedModel's scores and of the ONNX graph's."""
    signature = tf.saved_model.load(str(folder)).signatures[SIGNATURE]
    session = onnxruntime.InferenceSession(folder / export.ONNX_FILE, providers=["CPUExecutionProvider"])
    served = _by_batches(
        lambda batch: np.asarray(signature(**{export.INPUT: tf.constant(batch)})[export.OUTPUT]), pixels
    )
    by_onnx = _by_batches(lambda batch: session.run([export.OUTPUT], {export.INPUT: batch})[0], pixels)
    return {"SavedModel": _max_difference(served, expected), "ONNX": _max_difference(by_onnx, expected)}


def _by_batches(score: Callable[[Any], Scores], pictures: npt.NDArray[Any]) -> Scores:
    """Score all in batches of one size: TensorFlow's last bits depend on the size of a batch."""
    return np.concatenate([score(pictures[first : first + _BATCH]) for first in range(0, len(pictures), _BATCH)])


def _max_difference(scores: Any, expected: Scores) -> float:
    return float(np.abs(scores.astype(np.float64) - expected).max())


def _preprocess(pixels: Pixels, preprocessing: Preprocessing) -> npt.NDArray[np.float32]:
    values = pixels.astype(np.float32)
    if preprocessing == "rescale":
        return np.asarray(keras.layers.Rescaling(1 / 255)(values))
    if preprocessing == "none":
        return values
    return np.asarray(keras.applications.imagenet_utils.preprocess_input(values, mode=preprocessing))


def _noise(size: tuple[int, int]) -> Pixels:
    random = np.random.default_rng(0)
    noise = [
        random.integers(0, 256, (2 ** (number + 1), 2 ** (number + 1), 3), np.uint8) for number in range(_GENERATED)
    ]
    return np.concatenate([to_pixels(Image.fromarray(pixels), size) for pixels in noise])


def _read(path: Path, size: tuple[int, int]) -> Pixels:
    try:
        with Image.open(path) as picture:
            return to_pixels(picture, size)
    except (UnidentifiedImageError, OSError, ValueError) as exc:
        raise ModelProblem(f"{path} cannot be read as a picture: {exc}") from exc
