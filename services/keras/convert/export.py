"""The files of a served model. Needs TensorFlow, tf2onnx and tensorflow-serving-api."""

import logging
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx
import tensorflow as tf
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

from services.keras.assets import Preprocessing
from services.keras.convert.load import SIGNATURE, LoadedModel
from services.keras.convert.model_file import ModelProblem

INPUT = "image"
OUTPUT = "scores"
ONNX_FILE = "model.onnx"
WARMUP_FILE = Path("assets.extra/tf_serving_warmup_requests")
WARMUP_BATCHES = (1, 2, 4, 8, 16, 32)
"""The allowed_batch_sizes of deploy/tensorflow-serving/batching.config: a larger one would fail the model's loading."""
OPSET = 18
_CAFFE_MEANS = (103.939, 116.779, 123.68)
_TORCH_MEANS = (0.485, 0.456, 0.406)
_TORCH_DEVIATIONS = (0.229, 0.224, 0.225)


def versions() -> dict[str, str]:
    """Return the versions of the libraries that convert."""
    return {name: version(name) for name in ("keras", "tf-keras", "tf2onnx", "onnx")} | {"tensorflow": tf.__version__}


def serving_function(model: LoadedModel, preprocessing: Preprocessing) -> Any:
    """Return the traced function: uint8 `image` [N, height, width, channels] → {`scores`: float32 [N, classes]}."""

    def serve(image: Any) -> dict[str, Any]:
        values = image if model.dtype == "uint8" else preprocess(tf.cast(image, tf.float32), preprocessing)
        return {OUTPUT: tf.cast(model.call(values), tf.float32)}

    pictures = tf.TensorSpec((None, *model.size, model.channels), tf.uint8, name=INPUT)
    return tf.function(serve, input_signature=[pictures], autograph=False)


def preprocess(values: Any, preprocessing: Preprocessing) -> Any:
    """Preprocess float32 RGB values 0 to 255 as the training did; see `Assets.preprocessing`.

    Operations and their order are those of `preprocess_input` in keras/src/applications/imagenet_utils.py and of
    the layer Rescaling(1 / 255), so that no bit differs.
    """
    match preprocessing:
        case "none":
            return values
        case "tf":
            # in double: TensorFlow's optimizer turns a float division by a constant into a product, one bit off
            return tf.cast(tf.cast(values, tf.float64) / 127.5, tf.float32) - 1.0
        case "caffe":
            return values[..., ::-1] - tf.constant(_CAFFE_MEANS, tf.float32)
        case "torch":
            shares = tf.cast(tf.cast(values, tf.float64) / 255.0, tf.float32) - tf.constant(_TORCH_MEANS, tf.float32)
            deviations = tf.cast(tf.constant(_TORCH_DEVIATIONS, tf.float32), tf.float64)
            return tf.cast(tf.cast(shares, tf.float64) / deviations, tf.float32)
        case "rescale":
            return values * (1 / 255)


def write_saved_model(model: LoadedModel, serve: Any, folder: Path) -> None:
    """Write FOLDER/saved_model.pb and its variables, with serving_default as the only signature."""
    module = tf.Module()
    module.owner = model.owner
    tf.saved_model.save(module, str(folder), signatures={SIGNATURE: serve})


def write_onnx(serve: Any, path: Path) -> None:
    """Write the same graph for onnxruntime, with the signature's names. Raises whatever tf2onnx does."""
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tf2onnx's use of numpy, which no user can fix
        import tf2onnx.convert  # noqa: PLC0415 - importing it warns

        graph, _ = tf2onnx.convert.from_function(serve, serve.input_signature, opset=OPSET)
    if len(graph.graph.input) != 1:  # tf2onnx leaves open what it does not understand
        inputs = ", ".join(value.name for value in graph.graph.input if not value.name.startswith(INPUT))
        raise ModelProblem(f"tf2onnx cannot convert it: it does not know what to put into {inputs}.")
    _rename(graph, graph.graph.input[0].name, INPUT)
    _rename(graph, graph.graph.output[0].name, OUTPUT)
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def write_warmup(model: LoadedModel, name: str, path: Path) -> None:
    """Write the requests with which TensorFlow Serving warms a version up before it serves it.

    There is one for each batch size, so that a GPU's kernels are chosen for all. Each holds one value, which
    TensorFlow repeats to the tensor's size (`Tensor::FromProto` in tensorflow/core/framework/tensor.cc).
    Source: tensorflow_serving/servables/tensorflow/saved_model_warmup.cc.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as file:
        for batch in WARMUP_BATCHES:
            pixels = tf.compat.v1.make_tensor_proto(127, tf.uint8, (batch, *model.size, model.channels))
            spec = model_pb2.ModelSpec(name=name, signature_name=SIGNATURE)
            request = predict_pb2.PredictRequest(model_spec=spec, inputs={INPUT: pixels}, output_filter=[OUTPUT])
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            file.write(log.SerializeToString())


def _rename(model: onnx.ModelProto, old: str, new: str) -> None:
    for value in (*model.graph.input, *model.graph.output):
        value.name = new if value.name == old else value.name
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
