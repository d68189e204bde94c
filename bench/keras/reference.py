"""What Keras itself says of pictures: run by scores.py where TensorFlow is.

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
    """Write NumPy arrays into the folder."""
    {"make": make, "served": served}[sys.argv[1]](Path(sys.argv[2]))


def make(folder: Path) -> None:
    """MobileNetV2 saved by Keras 2 and by Keras 3, and each's own scores for what its own load_img gives."""
    paths = sorted((folder / "pictures").iterdir())
    for library, name in ((tf_keras, "legacy.h5"), (keras, "modern.keras")):
        load, to_array = library.utils.load_img, library.utils.img_to_array
        pixels = np.stack([to_array(load(path, target_size=_SIZE)) for path in paths])
        prepared = library.applications.mobilenet_v2.preprocess_input(pixels.copy())
        model = _lively(library, prepared)
        model.save(folder / name)
        np.save(folder / f"{name}.pixels.npy", pixels)
        alone = [model.predict_on_batch(one[np.newaxis])[0] for one in prepared]
        np.save(folder / f"{name}.scores.npy", np.stack(alone))
        np.save(folder / f"{name}.together.npy", model.predict(prepared, verbose=0))


def served(folder: Path) -> None:
    """Return the scores of what the converter wrote."""
    for name in ("legacy.h5", "modern.keras"):
        signature = tf.saved_model.load(str(folder / f"{name}.served" / "1")).signatures["serving_default"]
        pixels = np.load(folder / "ours.npy")
        scores = [signature(image=tf.constant(one[np.newaxis]))["scores"].numpy()[0] for one in pixels]
        np.save(folder / f"{name}.saved_model.npy", np.stack(scores))


def _lively(library: Any, prepared: Any) -> Any:
    """MobileNetV2 without trained weights, but with the pictures' statistics and a last layer that tells them apart."""
    model = library.applications.MobileNetV2(weights=None, classes=2)
    random = np.random.default_rng(5)
    for layer in model.layers:
        if isinstance(layer, library.layers.BatchNormalization):
            layer.momentum = 0.0  # one look makes the pictures' own statistics the layer's
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
