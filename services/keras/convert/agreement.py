"""Whether what was written gives the scores that the model gave. Needs Keras, TensorFlow and onnxruntime."""

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
from services.keras.convert.loaded import SIGNATURE, LoadedModel
from services.keras.convert.model_file import ModelProblem
from services.keras.preprocess import Pixels, to_pixels

TOLERANCES = {"SavedModel": 1e-5, "ONNX": 1e-4}
"""Scores may differ by so much; onnxruntime adds in another order than TensorFlow."""
_PICTURES = 8
_BATCH = 8
Scores = npt.NDArray[np.float32]


def sample_pictures(size: tuple[int, int], folder: Path | None) -> Pixels:
    """The folder's pictures as Keras loads them, or made ones: noise, coarser and coarser. uint8 [N, *size, 3].

    Raises ModelProblem.
    """
    if folder is None:
        return _made(size)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if not paths:
        raise ModelProblem(f"{folder} has no pictures to compare scores on.")
    return np.concatenate([_read(path, size) for path in paths])


def expected_scores(model: LoadedModel, pixels: Pixels, preprocessing: Preprocessing) -> Scores:
    """The scores of whoever saved the model, for pixels as Keras itself prepares them. Raises ModelProblem."""
    prepared = pixels if model.dtype == "uint8" else _prepared(pixels, preprocessing)
    scores = _by_batches(model.predict, prepared)
    if not np.isfinite(scores).all():
        raise ModelProblem("The model gives scores that are no numbers; its weights are broken.")
    if scores.min() < 0 or scores.max() > 1:
        raise ModelProblem(
            f"The model's scores go from {scores.min():.3g} to {scores.max():.3g}; they must be 0 to 1. "
            "End the model with softmax or sigmoid."
        )
    return scores


def differences(folder: Path, pixels: Pixels, expected: Scores) -> dict[str, float]:
    """How far the written SavedModel and the ONNX graph are away at most."""
    signature = tf.saved_model.load(str(folder)).signatures[SIGNATURE]
    session = onnxruntime.InferenceSession(folder / export.ONNX_FILE, providers=["CPUExecutionProvider"])
    served = _by_batches(lambda own: np.asarray(signature(**{export.INPUT: tf.constant(own)})[export.OUTPUT]), pixels)
    by_onnx = _by_batches(lambda own: session.run([export.OUTPUT], {export.INPUT: own})[0], pixels)
    return {"SavedModel": _most(served, expected), "ONNX": _most(by_onnx, expected)}


def _by_batches(score: Callable[[Any], Scores], pictures: npt.NDArray[Any]) -> Scores:
    """Scores of all, so many at a time on every side: TensorFlow's last bits depend on a batch's size."""
    return np.concatenate([score(pictures[first : first + _BATCH]) for first in range(0, len(pictures), _BATCH)])


def _most(scores: Any, expected: Scores) -> float:
    return float(np.abs(scores.astype(np.float64) - expected).max())


def _prepared(pixels: Pixels, preprocessing: Preprocessing) -> npt.NDArray[np.float32]:
    values = pixels.astype(np.float32)
    if preprocessing == "rescale":
        return np.asarray(keras.layers.Rescaling(1 / 255)(values))
    if preprocessing == "none":
        return values
    return np.asarray(keras.applications.imagenet_utils.preprocess_input(values, mode=preprocessing))


def _made(size: tuple[int, int]) -> Pixels:
    random = np.random.default_rng(0)
    made = [random.integers(0, 256, (2 ** (number + 1), 2 ** (number + 1), 3), np.uint8) for number in range(_PICTURES)]
    return np.concatenate([to_pixels(Image.fromarray(pixels), size) for pixels in made])


def _read(path: Path, size: tuple[int, int]) -> Pixels:
    try:
        with Image.open(path) as picture:
            return to_pixels(picture, size)
    except (UnidentifiedImageError, OSError, ValueError) as exc:
        raise ModelProblem(f"{path} cannot be read as a picture: {exc}") from exc
