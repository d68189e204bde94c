"""Compute Keras's own scores of pictures; scores.py runs this in the environment that has TensorFlow.

usage: python bench/keras/reference.py make FOLDER       (writes legacy.h5 and modern.keras, and predicts)
       python bench/keras/reference.py served FOLDER     (runs the SavedModels below FOLDER on FOLDER/ours.npy)
"""

import os
import sys
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
import tf_keras

_SIZE = (224, 224)


def main() -> None:
    """Run the command, which writes NumPy arrays into the folder."""
    {"make": make, "served": served}[sys.argv[1]](Path(sys.argv[2]))


def make(folder: Path) -> None:
    """Save a MobileNetV2 with Keras 2 and with Keras 3, and the scores of each for what its own load_img returns."""
    paths = sorted((folder / "pictures").iterdir())
    for library, name in ((tf_keras, "legacy.h5"), (keras, "modern.keras")):
        load, to_array = library.utils.load_img, library.utils.img_to_array
        pixels = np.stack([to_array(load(path, target_size=_SIZE)) for path in paths])
        prepared = library.applications.mobilenet_v2.preprocess_input(pixels.copy())
        model = _untrained(library, prepared)
        model.save(folder / name)
        np.save(folder / f"{name}.pixels.npy", pixels)
        one_by_one = [model.predict_on_batch(one[np.newaxis])[0] for one in prepared]
        np.save(folder / f"{name}.scores.npy", np.stack(one_by_one))
        np.save(folder / f"{name}.together.npy", model.predict(prepared, verbose=0))


def served(folder: Path) -> None:
    """Save the scores that the converter's SavedModels return."""
    for name in ("legacy.h5", "modern.keras"):
        signature = tf.saved_model.load(str(folder / f"{name}.served" / "1")).signatures["serving_default"]
        pixels = np.load(folder / "ours.npy")
        scores = [signature(image=tf.constant(one[np.newaxis]))["scores"].numpy()[0] for one in pixels]
        np.save(folder / f"{name}.saved_model.npy", np.stack(scores))


def _untrained(library: Any, prepared: Any) -> Any:
    """Return an untrained MobileNetV2 with the pictures' statistics and a last layer that scores them apart."""
    model = library.applications.MobileNetV2(weights=None, classes=2)
    random = np.random.default_rng(5)
    for layer in model.layers:
        if isinstance(layer, library.layers.BatchNormalization):
            layer.momentum = 0.0  # one pass sets the layer's statistics to the pictures' own
    model(prepared, training=True)
    last = model.layers[-1]
    features = library.Model(model.input, model.layers[-2].output).predict(prepared, verbose=0)
    kernel = random.normal(size=last.get_weights()[0].shape)
    decision = (features - features.mean(axis=0)) @ (kernel[:, 0] - kernel[:, 1])
    kernel *= 2 / decision.std()
    last.set_weights([kernel, -(features.mean(axis=0) @ kernel)])
    return model


if __name__ == "__main__":
    main()
