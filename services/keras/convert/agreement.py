"""Comparison of a converted model's scores with the original's. Needs Keras, TensorFlow and onnxruntime."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image, UnidentifiedImageError

from services.keras.assets import Preprocessing
from services.keras.convert import export
from services.keras.convert.load import SIGNATURE, LoadedModel
from services.keras.convert.model_file import ModelProblem
from services.keras.preprocess import Pixels
from services.runtime.images.session import onnxruntime

_TOLERANCES = {"SavedModel": 1e-5, "ONNX copy": 1e-4}
"""Maximum difference of a score; onnxruntime adds in another order than TensorFlow."""
_GENERATED = 8
_BATCH = 8
Scores = npt.NDArray[np.float32]


def sample_pictures(fitted: Callable[[Image.Image], Pixels], folder: Path | None) -> Pixels:
    """Return the folder's pictures as `fitted` makes them, or generated ones: noise of growing grain.

    `fitted` returns uint8 [1, height, width, channels]. Raises ModelProblem.
    """
    if folder is None:
        return np.concatenate([fitted(picture) for picture in _noise()])
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if not paths:
        raise ModelProblem(f"{folder} is not a folder with pictures to compare scores on.")
    return np.concatenate([_read(path, fitted) for path in paths])


def original_values(model: LoadedModel, pixels: Pixels, preprocessing: Preprocessing) -> Scores:
    """Return the original's outputs for pixels as Keras itself preprocesses them. Raises ModelProblem for NaN."""
    inputs = pixels if model.dtype == "uint8" else _preprocess(pixels, preprocessing)
    values = _by_batches(model.predict, inputs)
    if not np.isfinite(values).all():
        raise ModelProblem("The model's scores are not numbers; its weights are broken.")
    return values


def difference(folder: Path, pixels: Pixels, expected: Scores) -> float:
    """Return the maximum difference of the written SavedModel's scores. Raises ModelProblem if it is too large."""
    signature = tf.saved_model.load(str(folder)).signatures[SIGNATURE]
    scores = _by_batches(
        lambda batch: np.asarray(signature(**{export.INPUT: tf.constant(batch)})[export.OUTPUT]), pixels
    )
    return _checked("SavedModel", scores, expected)


def onnx_difference(path: Path, pixels: Pixels, expected: Scores) -> float:
    """Return the maximum difference of the ONNX graph's scores. Raises ModelProblem, or what onnxruntime raises."""
    session = onnxruntime().InferenceSession(path, providers=["CPUExecutionProvider"])
    scores = _by_batches(lambda batch: session.run([export.OUTPUT], {export.INPUT: batch})[0], pixels)
    return _checked("ONNX copy", scores, expected)


def _checked(name: str, scores: Scores, expected: Scores) -> float:
    largest = float(np.abs(scores.astype(np.float64) - expected).max())
    if not largest <= _TOLERANCES[name]:  # NaN fails too
        raise ModelProblem(f"The {name}'s scores differ by {largest:.1e} from the original's.")
    return largest


def _by_batches(score: Callable[[Any], Scores], pictures: npt.NDArray[Any]) -> Scores:
    """Score the first picture alone, since a model may take only so many at once, and the others in batches.

    The batches are the same for all: TensorFlow's last bits depend on their size.
    """
    batches = [pictures[:1], *(pictures[first : first + _BATCH] for first in range(1, len(pictures), _BATCH))]
    return np.concatenate([score(batch) for batch in batches])


def _preprocess(pixels: Pixels, preprocessing: Preprocessing) -> npt.NDArray[np.float32]:
    values = pixels.astype(np.float32)
    if preprocessing == "rescale":
        return np.asarray(keras.layers.Rescaling(1 / 255)(values))
    if preprocessing == "none":
        return values
    return np.asarray(keras.applications.imagenet_utils.preprocess_input(values, mode=preprocessing))


def _noise() -> Iterator[Image.Image]:
    random = np.random.default_rng(0)
    for number in range(_GENERATED):
        yield Image.fromarray(random.integers(0, 256, (2 ** (number + 1), 2 ** (number + 1), 3), np.uint8))


def _read(path: Path, fitted: Callable[[Image.Image], Pixels]) -> Pixels:
    try:
        with Image.open(path) as picture:
            return fitted(picture)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as exc:
        raise ModelProblem(f"{path} cannot be read as a picture: {exc}") from exc
