"""Make models of all kinds, good and bad, and convert them; test_keras_convert.py runs this with TensorFlow.

usage: python -m tests.support.keras_conversions DIR

Write to DIR pixels.npy, NAME.npy with the original model's scores for them, out/NAME/1 with the converted model, and
conversions.json with each conversion's exit code and text, and with what TensorFlow reads from its files.
"""

import contextlib
import io
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import h5py
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
    conversions = {name: _convert(folder, name, *how) for name, how in (_good(folder) | _unusual(folder)).items()}
    conversions |= {name: _convert(folder, name, file, "--labels", "A,B") for name, file in _bad(folder).items()}
    conversions |= {name: _convert(folder, name, *how) for name, how in _refused(folder).items()}
    conversions["graphs"] = {name: _describe(folder / "out" / name / "1") for name in _good_names(folder)}
    conversions["preprocessing"] = {mode: _max_difference(mode) for mode in ("none", "tf", "caffe", "torch", "rescale")}
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


def _unusual(folder: Path) -> dict[str, list[str | Path]]:
    """Save models of unusual kinds that can be converted; return each one's arguments."""
    grey = _network(keras, 1, "sigmoid", 255, channels=1)
    grey.save(folder / "grey.keras")
    _expect(folder, "grey", grey.predict(VALUES[..., :1], verbose=0))
    several = _network(tf_keras, 3, "sigmoid")
    several.save(folder / "several.h5")
    _expect(folder, "several", several.predict(preprocess_input(VALUES.copy(), mode="torch"), verbose=0))
    logits = _network(keras, 2, "linear", 255)
    logits.save(folder / "logits.keras")
    logits.export(folder / "logits", verbose=False)
    values = logits.predict(VALUES, verbose=0)
    _expect(folder, "softmax", tf.nn.softmax(values))
    _expect(folder, "sigmoids", tf.nn.sigmoid(values))
    image = keras.Input((*SIZE, 3))
    named = keras.Model(image, {"kinds": _blended(image)})
    named.save(folder / "named.keras")
    _expect(folder, "named", named.predict(VALUES, verbose=0)["kinds"])
    single = _network(keras, 2, "softmax", 255, batch=1)
    single.save(folder / "single.keras")
    _expect(folder, "single_keras", single.predict(VALUES, verbose=0))
    _save_graph(folder / "single", lambda values: values / 255, batch=1)
    _expect(folder, "single_graph", tf.nn.softmax(tf.reduce_mean(VALUES / 255, (1, 2))[:, :2]))
    _on_windows(folder / "sigmoid.keras", folder / "windows.keras")
    _expect(folder, "windows", np.load(folder / "sigmoid.npy"))
    image = keras.Input((*SIZE, 3))
    values = keras.applications.resnet50.preprocess_input(image)
    prepared = _head(keras, image, keras.layers.Rescaling(1 / 255)(values))
    prepared.save(folder / "prepared.keras")
    _expect(folder, "prepared", prepared.predict(VALUES, verbose=0))
    printing = folder / "printing"
    _save_graph(printing, _printing(folder / "printed.txt"))
    _expect(folder, "printing", tf.nn.softmax(tf.reduce_mean(VALUES, (1, 2))[:, :2]))
    (folder / "labels.txt").write_text("0 Cat\n1 Dog, small\n")
    labels = ("--labels", str(folder / "labels.txt"))
    return {
        "grey": ["grey.keras", "--labels", "No,Yes", "--fit", "pad", "--interpolation", "bicubic"],
        "several": ["several.h5", "--labels", "A,B,C", "--preprocessing", "torch"],
        "softmax": ["logits.keras", *labels, "--activation", "softmax"],
        "sigmoids": ["logits", *labels, "--activation", "sigmoid"],
        "named": ["named.keras", *labels],
        "single_keras": ["single.keras", *labels],
        "single_graph": ["single", *labels],
        "windows": ["windows.keras", "--labels", "No,Yes", "--preprocessing", "caffe"],
        "prepared": ["prepared.keras", *labels],
        "printing": ["printing", *labels, "--allow-operation", "PrintV2"],
    }


def _refused(folder: Path) -> dict[str, list[str | Path]]:
    """Return the arguments of conversions of good models that are refused."""
    labels = ("--labels", "A,B")
    return {
        "printing.refused": ["printing", *labels],
        "logits.refused": ["logits", *labels],
        "ends.refused": ["whole.keras", *labels, "--activation", "sigmoid"],
        "grey.refused": ["grey.keras", *labels, "--preprocessing", "caffe"],
        "missing.refused": ["whole.keras", "--assets", str(folder / "missing.json")],
    }


def _printing(path: Path) -> Callable[[Any], Any]:
    def change(values: Any) -> Any:
        tf.print("called", output_stream=f"file://{path}")
        return values

    return change


def _on_windows(path: Path, copy: Path) -> None:
    """Copy a .keras file as Keras saved it on Windows: with backslashes in the names of groups of weights."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        weights, renamed = io.BytesIO(old.read("model.weights.h5")), io.BytesIO()
        with h5py.File(weights) as source, h5py.File(renamed, "w") as target:
            names: list[str] = []
            source.visit(names.append)
            for name in (name.removesuffix("/vars") for name in names if name.endswith("/vars")):
                target.copy(source[f"{name}/vars"], target.create_group(name.replace("/", "\\")), "vars")
        for name in ("metadata.json", "config.json"):
            new.writestr(name, old.read(name))
        new.writestr("model.weights.h5", renamed.getvalue())


def _good_names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.npy") if path.stem != "pixels")


def _expect(folder: Path, name: str, scores: Any) -> None:
    np.save(folder / f"{name}.npy", np.asarray(scores))


def _network(  # noqa: PLR0913 - networks differ in each of them
    library: Any,
    classes: int,
    activation: str,
    brightest: float = 1.0,
    *,
    channels: int = 3,
    batch: int | None = None,
) -> Any:
    """Return a network with a layer whose settings Keras 3 does not read from Keras 2's files.

    Its weights make pictures with values up to `brightest` differ.
    """
    layers = library.layers
    model = library.Sequential(
        [
            library.Input((*SIZE, channels), batch_size=batch),
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
    twice = keras.layers.Conv2D(2, 1, activation=lambda values: values * 2, name="conv")
    _save(folder / "lambda-activation.keras", keras, twice)
    _save(folder / "activation.h5", tf_keras, tf_keras.layers.Conv2D(2, 1, activation=_twice, name="conv"))
    _reshaped(folder / "reshaped.keras")
    (folder / "no-graph").mkdir()
    (folder / "no-graph/saved_model.pb").touch()
    image = tf_keras.Input((*SIZE, 3))
    text = tf.ensure_shape(tf.strings.to_number(tf.strings.as_string(image)), (None, *SIZE, 3))
    _head(tf_keras, image, text).save(folder / "strings.h5")
    _network(keras, 3, "softmax").save(folder / "three.keras")
    _network(keras, 2, "softmax", channels=4).save(folder / "four.keras")
    _save_graph(folder / "eight", lambda values: values, batch=8)
    _save_graph(folder / "hidden", lambda values: values, beside=_writing)
    _first(folder / "first.keras")
    _save_foreign(folder)
    modern.get_layer("last").set_weights([np.full((3, 2), np.nan), np.zeros(2)])
    modern.save(folder / "nan.keras")
    _save_graph(folder / "python", lambda values: tf.py_function(_twice, [values], tf.float32))
    _save_graph(folder / "random", lambda values: values * tf.random.uniform((1, *SIZE, 3)))
    return {path.name: path for path in map(Path, _BAD)}


_BAD = (
    *("weights.h5", "cut.h5", "text.h5", "only.weights.h5", "flipped.keras", "empty", "missing.h5", "lambda.h5"),
    *("lambda.keras", "custom.h5", "custom.keras", "registered.keras", "activation.keras", "strings.h5"),
    *("three.keras", "logits.keras", "nan.keras", "python", "random", "four.keras", "eight", "first.keras"),
    *("lfs.keras", "page.h5", "empty.h5", "lite.tflite", "torch.pt", "graph.onnx", "json.keras", "versions"),
    *("lambda-activation.keras", "activation.h5", "reshaped.keras", "no-graph"),
    *("hidden", "pointers", "frozen.pb", "model.ckpt", "no-config.keras", "half.keras", "exported/saved_model.pb"),
)


def _save_foreign(folder: Path) -> None:
    """Save what people take for a model that can be converted."""
    (folder / "lfs.keras").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    shutil.copytree(folder / "exported", folder / "pointers")
    (folder / "pointers/variables/variables.data-00000-of-00001").write_bytes((folder / "lfs.keras").read_bytes())
    (folder / "page.h5").write_text("\n<!DOCTYPE html><html><body>404</body></html>")
    (folder / "empty.h5").touch()
    (folder / "lite.tflite").write_bytes(b"\x1c\0\0\0TFL3 and so on")
    (folder / "torch.pt").write_bytes(b"\x80\x02}q\0.")
    (folder / "graph.onnx").write_bytes(b"\x08\x08\x12\x07pytorch")
    (folder / "json.keras").write_text('{"class_name": "Sequential"}')
    (folder / "versions").mkdir()
    shutil.copytree(folder / "exported", folder / "versions" / "1")
    frozen = tf.Graph()
    with frozen.as_default():
        tf.compat.v1.placeholder(tf.float32, name="image")
    (folder / "frozen.pb").write_bytes(frozen.as_graph_def().SerializeToString())
    tf.train.Checkpoint(value=tf.Variable(1.0)).write(str(folder / "model.ckpt"))
    _repack(folder / "whole.keras", folder / "no-config.keras", leave_out="config.json")
    (folder / "half.keras").write_bytes((folder / "whole.keras").read_bytes()[:900])


def _first(path: Path) -> None:
    """Save a network whose pictures' channels come first."""
    image = keras.Input((3, *SIZE))
    flat = keras.layers.GlobalAveragePooling2D(data_format="channels_first")(image)
    keras.Model(image, keras.layers.Dense(2, activation="softmax")(flat)).save(path)


def _reshaped(path: Path) -> None:
    """Save a network that computes with the number of pictures, eight, which its input does not say."""
    image = keras.Input((*SIZE, 3))
    flat = keras.ops.reshape(image, (8, 3 * SIZE[0] * SIZE[1]))
    keras.Model(image, keras.layers.Dense(2, activation="softmax")(flat)).save(path)


def _blended(image: Any) -> Any:
    """Return the mean of two networks' scores, which a sum makes and not a softmax."""
    halves = [keras.layers.Rescaling(0.5)(_network(keras, 2, "softmax", 255)(image)) for _ in range(2)]
    return keras.layers.Add()(halves)


def _repack(path: Path, copy: Path, leave_out: str) -> None:
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            if name != leave_out:
                new.writestr(name, old.read(name))


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


def _writing() -> Any:
    with tf.control_dependencies([tf.io.write_file("/dev/null", "")]):
        return tf.constant(0)


def _save_graph(
    path: Path, change: Callable[[Any], Any], batch: int | None = None, beside: Callable[[], Any] | None = None
) -> None:
    def serve(values: Any) -> dict[str, Any]:
        changed = tf.ensure_shape(change(values), (batch, *SIZE, 3))
        return {"scores": tf.nn.softmax(tf.reduce_mean(changed, (1, 2))[:, :2])}

    signature = tf.function(serve, input_signature=[tf.TensorSpec((batch, *SIZE, 3), tf.float32)])
    module = tf.Module()
    if beside is not None:
        module.beside = tf.function(beside, input_signature=[])
    tf.saved_model.save(module, str(path), signatures={"serving_default": signature})


def _convert(folder: Path, name: str, file: str | Path, *options: str) -> tuple[int, str]:
    text = io.StringIO()
    with contextlib.redirect_stderr(text):
        code = convert.main([str(folder / file), str(folder / "out" / name / "1"), *options])
    return code, text.getvalue()


def _describe(folder: Path) -> dict[str, Any]:
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    [(name, model_input)] = signature.structured_input_signature[1].items()
    [(output_name, output)] = signature.structured_outputs.items()
    scores = signature(**{name: tf.constant(PIXELS[..., : model_input.shape[3]])})[output_name].numpy()
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
        "torch": preprocess_input(every.copy(), mode="torch"),
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
