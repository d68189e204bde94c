"""The networks to train: a small one from scratch, or a head on MobileNetV2. Needs Keras with TensorFlow."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from services.keras.preprocess import SIZE, Pixels
from services.keras.train.dataset import DataProblem, Dataset
from services.keras.train.metrics import Scores

FILTERS = (16, 24, 48, 64, 96)
_BATCH = 32
_PATIENCE = 4


@dataclass(frozen=True)
class Fit:
    """The course and the outcome of a training."""

    curves: dict[str, list[float]]
    """loss, accuracy, val_loss, val_accuracy: a value per epoch."""
    scores: Scores
    """[held-out pictures, classes], with the best epoch's weights."""


def build(classes: int, seed: int) -> keras.Model:
    """Return a network of about 180,000 parameters that finds a label's features anywhere in the picture.

    Input `image`: uint8 [N, 224, 224, 3], 0 to 255, RGB; the cast to float is part of the network.
    Output `scores`: float32 [N, classes], softmax.
    """
    keras.utils.set_random_seed(seed)
    image = keras.Input((*SIZE, 3), dtype="uint8", name="image")
    layer = keras.layers.Rescaling(1 / 127.5, offset=-1, name="rescale")(image)
    for filters in FILTERS:
        layer = _convolve(layer, filters, strides=2)
    layer = _convolve(layer, FILTERS[-1], strides=1)
    layer = keras.layers.GlobalMaxPooling2D()(layer)
    layer = keras.layers.Dropout(0.3)(layer)
    scores = keras.layers.Dense(classes, activation="softmax", name="scores")(layer)
    return keras.Model(image, scores)


def build_on(weights: Path, classes: int, seed: int) -> keras.Model:
    """Return a new head on MobileNetV2, whose weights stay fixed; input and output are those of `build`.

    `weights` is a file of MobileNetV2's weights without its top. Raises DataProblem.
    """
    keras.utils.set_random_seed(seed)
    try:
        base = keras.applications.MobileNetV2((*SIZE, 3), include_top=False, weights=str(weights), pooling="avg")
    except (ValueError, OSError, KeyError) as exc:
        raise DataProblem(f"{weights} does not hold MobileNetV2's weights without its top: {exc}") from exc
    base.trainable = False
    image = keras.Input((*SIZE, 3), dtype="uint8", name="image")
    layer = keras.layers.Rescaling(1 / 127.5, offset=-1, name="rescale")(image)
    layer = keras.layers.Dropout(0.2)(base(layer, training=False))
    scores = keras.layers.Dense(classes, activation="softmax", name="scores")(layer)
    return keras.Model(image, scores)


def fit(
    model: keras.Model,
    dataset: Dataset,
    held_out: npt.NDArray[np.bool_],
    epochs: int,
    on_epoch: Callable[[int, dict[str, float]], None],
) -> Fit:
    """Train on the pictures that are not held out, and score those that are.

    Stop early when the held-out loss no longer falls, and keep the best epoch's weights. All labels weigh the
    same, however many pictures they have. `on_epoch` is called with each epoch's number and metrics.
    """
    pixels, classes = dataset.pixels, dataset.classes
    model.compile(keras.optimizers.Adam(2e-3), keras.losses.SparseCategoricalCrossentropy(), metrics=["accuracy"])
    validation = tf.data.Dataset.from_tensor_slices((pixels[held_out], classes[held_out])).batch(_BATCH)
    history = model.fit(
        _augment(pixels[~held_out], classes[~held_out]),
        validation_data=validation,
        epochs=epochs,
        shuffle=False,
        class_weight=_weights(classes[~held_out]),
        verbose=0,
        callbacks=[
            keras.callbacks.EarlyStopping("val_loss", patience=_PATIENCE, restore_best_weights=True),
            keras.callbacks.LambdaCallback(on_epoch_end=on_epoch),
        ],
    )
    return Fit(history.history, np.asarray(model.predict(pixels[held_out], verbose=0)))


def _convolve(layer: Any, filters: int, strides: int) -> Any:
    layer = keras.layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(layer)
    layer = keras.layers.BatchNormalization(momentum=0.9)(layer)
    return keras.layers.ReLU()(layer)


def _augment(pixels: Pixels, classes: npt.NDArray[np.int64]) -> tf.data.Dataset:
    """Return batches that vary in every epoch: mirrored, moved, nearer or further away, in another light.

    Without colour variations the network learns little but the few colours of a small data set.
    """
    colours = {"value_range": (0, 255)}
    layers = (
        keras.layers.RandomFlip("horizontal"),
        keras.layers.RandomZoom((-0.5, 0.5), (-0.5, 0.5)),
        keras.layers.RandomTranslation(0.15, 0.15),
        keras.layers.RandomHue(0.5, **colours),
        keras.layers.RandomSaturation((0.2, 0.8), **colours),
        keras.layers.RandomGrayscale(0.2),
        keras.layers.RandomBrightness(0.25, **colours),
        keras.layers.RandomContrast(0.35, **colours),
    )

    def vary(batch: Any, batch_classes: Any) -> tuple[Any, Any]:
        values = tf.cast(batch, tf.float32)
        for layer in layers:
            values = layer(values, training=True)
        return _as_pixels(values), batch_classes

    return tf.data.Dataset.from_tensor_slices((pixels, classes)).shuffle(len(pixels)).batch(_BATCH).map(vary)


def _as_pixels(values: Any) -> Any:
    return tf.cast(tf.clip_by_value(values, 0, 255), tf.uint8)


def _weights(classes: npt.NDArray[np.int64]) -> dict[int, float]:
    counts = np.bincount(classes)
    return {number: len(classes) / (len(counts) * count) for number, count in enumerate(counts.tolist())}
