"""Make models of all kinds, good and bad, and convert them; test_keras_convert.py runs this with TensorFlow.

usage: python -m tests.support.keras_conversions DIR

Write to DIR pixels.npy, NAME.npy with the original model's scores for them, out/NAME/1 with the converted model, and
conversions.json with each conversion's exit code and text, and with what TensorFlow reads from its files.
"""

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
import tf_keras
from keras.applications.imagenet_utils import preprocess_input
from tensorflow_serving.apis import prediction_log_pb2

from services.keras.convert import __main__ as convert
from services.keras.convert import export

SIZE = (32, 24)
PIXELS = (
    np.random.default_rng(1).integers(0, 256, (5, *SIZE, 3), np.uint8)
    // np.arange(1, 6, dtype=np.uint8)[:, None, None, None]
)
VALUES = PIXELS.astype(np.float32)


def main(folder: Path) -> None:
    """Make the models, convert them and write conversions.json."""
    np.save(folder / "pixels.npy", PIXELS)
    conversions = {name: _convert(folder, name, *how) for name, how in _good(folder).items()}
    conversions |= {name: _convert(folder, name, file, "--labels", "A,B") for name, file in _bad(folder).items()}
    conversions["graphs"] = {name: _describe(folder / "out" / name / "1") for name in _good_names(folder)}
    conversions["preprocessing"] = {mode: _max_difference(mode) for mode in ("none", "tf", "caffe", "rescale")}
    (folder / "conversions.json").write_text(json.dumps(conversions, indent=1))


def _good(folder: Path) -> dict[str, list[str | Path]]:
    """Save models that can be converted; return each one's arguments."""
    legacy = _network(tf_keras, 3, "softmax")
    legacy.save(folder / "legacy.h5")
    _expect(folder, "legacy", legacy.predict(preprocess_input(VALUES.copy(), mode="tf"), verbose=0))
    sigmoid = _network(keras, 1, "sigmoid", 255)
    sigmoid.save(folder / "sigmoid.keras")
    _expect(folder, "sigmoid", sigmoid.predict(preprocess_input(VALUES.copy(), mode="caffe"), verbose=0))
    modern = _network(keras, 2, "softmax")
    modern.save(folder / "modern.h5")
    _expect(folder, "modern", modern.predict(keras.layers.Rescaling(1 / 255)(VALUES), verbose=0))
    (folder / "modern.marquee.json").write_text('{"labels": ["C", "D"], "threshold": 0.7, "seed": 9}')
    prepared = _prepared_by_operations()
    prepared.save(folder / "operations.h5")
    _expect(folder, "operations", prepared.predict(VALUES, verbose=0))
    exported = _network(keras, 2, "softmax", 255)
    exported.export(folder / "exported", verbose=False)
    _expect(folder, "exported", exported.predict(VALUES, verbose=0))
    return {
        "legacy": ["legacy.h5", "--labels", "A, B,C", "--preprocessing", "tf", "--kind", "identity"],
        "sigmoid": ["sigmoid.keras", "--labels", "No,Yes", "--preprocessing", "caffe", "--regions", "faces"],
        "modern": ["modern.h5", "--preprocessing", "rescale", "--threshold", "0.25"],
        "operations": ["operations.h5", "--labels", "A,B"],
        "exported": ["exported", "--labels", "A,B"],
    }


def _good_names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.npy") if path.stem != "pixels")


def _expect(folder: Path, name: str, scores: Any) -> None:
    np.save(folder / f"{name}.npy", np.asarray(scores))


def _network(library: Any, classes: int, activation: str, brightest: float = 1.0) -> Any:
    """Return a network with a layer whose settings Keras 3 does not read from Keras 2's files.

    Its weights make pictures with values up to `brightest` differ.
    """
    layers = library.layers
    model = library.Sequential(
        [
            library.Input((*SIZE, 3)),
            layers.DepthwiseConv2D(3, name="depthwise"),
            layers.BatchNormalization(name="normal"),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(classes, activation=activation, name="last"),
        ]
    )
    random = np.random.default_rng(classes + 10)
    shift = [random.normal(size=weight.shape) ** 2 + 0.5 for weight in model.get_layer("normal").get_weights()]
    model.get_layer("normal").set_weights(shift)
    for name, scale in (("depthwise", 1 / brightest), ("last", 1.0)):
        drawn = [random.normal(scale=scale, size=weight.shape) for weight in model.get_layer(name).get_weights()]
        model.get_layer(name).set_weights(drawn)
    return model


def _prepared_by_operations() -> Any:
    image = tf_keras.Input((*SIZE, 3))
    layer = tf_keras.applications.mobilenet_v2.preprocess_input(image)
    layer = tf_keras.layers.GlobalAveragePooling2D()(layer[:, ::2])
    return tf_keras.Model(image, tf_keras.layers.Dense(2, activation="softmax")(layer))


def _bad(folder: Path) -> dict[str, Path | str]:
    """Save models that cannot be converted; return their files."""
    legacy = _network(tf_keras, 2, "softmax")
    legacy.save_weights(folder / "weights.h5")
    legacy.save(folder / "whole.h5")
    whole = (folder / "whole.h5").read_bytes()
    (folder / "cut.h5").write_bytes(whole[: len(whole) // 2])
    (folder / "text.h5").write_text("no model")
    modern = _network(keras, 2, "softmax")
    modern.save_weights(folder / "only.weights.h5")
    modern.save(folder / "whole.keras")
    flipped = bytearray((folder / "whole.keras").read_bytes())
    flipped[len(flipped) // 2] ^= 1
    (folder / "flipped.keras").write_bytes(flipped)
    (folder / "empty").mkdir()
    _save(folder / "lambda.h5", tf_keras, tf_keras.layers.Lambda(lambda values: values * 2, name="twice"))
    _save(folder / "lambda.keras", keras, keras.layers.Lambda(lambda values: values * 2, name="twice"))
    _save(folder / "custom.h5", tf_keras, _custom(tf_keras)(name="own"))
    _save(folder / "custom.keras", keras, _custom(keras)(name="own"))
    registered = keras.saving.register_keras_serializable("shop")(_custom(keras))
    _save(folder / "registered.keras", keras, registered(name="own"))
    _save(folder / "activation.keras", keras, keras.layers.Activation(_twice, name="act"))
    image = tf_keras.Input((*SIZE, 3))
    text = tf.ensure_shape(tf.strings.to_number(tf.strings.as_string(image)), (None, *SIZE, 3))
    _head(tf_keras, image, text).save(folder / "strings.h5")
    _network(keras, 3, "softmax").save(folder / "three.keras")
    _network(keras, 2, "linear").save(folder / "logits.keras")
    modern.get_layer("last").set_weights([np.full((3, 2), np.nan), np.zeros(2)])
    modern.save(folder / "nan.keras")
    _save_graph(folder / "python", lambda values: tf.py_function(_twice, [values], tf.float32))
    _save_graph(folder / "random", lambda values: values * tf.random.uniform((1, *SIZE, 3)))
    return {path.name: path for path in map(Path, _BAD)}


_BAD = (
    *("weights.h5", "cut.h5", "text.h5", "only.weights.h5", "flipped.keras", "empty", "missing.h5", "lambda.h5"),
    *("lambda.keras", "custom.h5", "custom.keras", "registered.keras", "activation.keras", "strings.h5"),
    *("three.keras", "logits.keras", "nan.keras", "python", "random"),
)


def _twice(values: Any) -> Any:
    return values * 2


def _custom(library: Any) -> Any:
    class Own(library.layers.Layer):
        def call(self, values: Any) -> Any:
            return values * 2

    return Own


def _save(path: Path, library: Any, layer: Any) -> None:
    image = library.Input((*SIZE, 3))
    _head(library, image, layer(image)).save(path)


def _head(library: Any, image: Any, layer: Any) -> Any:
    flat = library.layers.GlobalAveragePooling2D()(layer)
    return library.Model(image, library.layers.Dense(2, activation="softmax")(flat))


def _save_graph(path: Path, change: Callable[[Any], Any]) -> None:
    def serve(values: Any) -> dict[str, Any]:
        changed = tf.ensure_shape(change(values), (None, *SIZE, 3))
        return {"scores": tf.nn.softmax(tf.reduce_mean(changed, (1, 2))[:, :2])}

    signature = tf.function(serve, input_signature=[tf.TensorSpec((None, *SIZE, 3), tf.float32)])
    tf.saved_model.save(tf.Module(), str(path), signatures={"serving_default": signature})


def _convert(folder: Path, name: str, file: str | Path, *options: str) -> tuple[int, str]:
    text = io.StringIO()
    with contextlib.redirect_stderr(text):
        code = convert.main([str(folder / file), str(folder / "out" / name / "1"), *options])
    return code, text.getvalue()


def _describe(folder: Path) -> dict[str, Any]:
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    [(name, model_input)] = signature.structured_input_signature[1].items()
    [(output_name, output)] = signature.structured_outputs.items()
    scores = signature(**{name: tf.constant(PIXELS)})[output_name].numpy()
    return {
        "input": [name, model_input.dtype.name, list(model_input.shape)],
        "output": [output_name, output.dtype.name, list(output.shape)],
        "scores": scores.tolist(),
        "warmup": [_request(record) for record in _records(folder)],
    }


def _max_difference(mode: str) -> float:
    """Return the maximum difference between the 256 preprocessed values and Keras's."""
    every = np.arange(256, dtype=np.float32).reshape(1, 16, 16, 1).repeat(3, axis=3)
    graph = tf.function(lambda values: tf.identity(export.preprocess(values, mode)), autograph=False)
    expected = {
        "none": every,
        "rescale": np.asarray(keras.layers.Rescaling(1 / 255)(every)),
        "tf": preprocess_input(every.copy(), mode="tf"),
        "caffe": preprocess_input(every.copy(), mode="caffe"),
    }
    return float(np.abs(graph(tf.constant(every)).numpy() - expected[mode]).max())


def _records(folder: Path) -> list[bytes]:
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    return [record.numpy() for record in tf.data.TFRecordDataset(str(path))]


def _request(record: bytes) -> dict[str, Any]:
    request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
    pixels = tf.make_ndarray(request.inputs["image"])
    return {"signature": request.model_spec.signature_name, "type": str(pixels.dtype), "shape": pixels.shape}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
