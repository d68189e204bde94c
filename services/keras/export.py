"""Writes a trained network the way it is served. Needs Keras with TensorFlow and tf2onnx."""

import json
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import tensorflow as tf

from services.keras.preprocess import SIZE

INPUT = "image"
OUTPUT = "scores"
VERSIONS = {"keras": keras.__version__, "tensorflow": tf.__version__, "onnx": onnx.__version__}


def write_served(model: keras.Model, folder: Path, assets: dict[str, Any]) -> Path:
    """Writes FOLDER/model.onnx and FOLDER/assets/marquee.json; returns the former.

    The ONNX graph takes `image` and gives `scores`, as the signature of a SavedModel would.
    """
    (folder / "assets").mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    _write_onnx(model, path)
    text = json.dumps(assets, indent=2, ensure_ascii=False)
    (folder / "assets" / "marquee.json").write_text(f"{text}\n", encoding="utf-8")
    return path


def _write_onnx(model: keras.Model, path: Path) -> None:
    model(np.zeros((1, *SIZE, 3), np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # tf2onnx's use of numpy, nothing a user can mend
        model.export(path, format="onnx", verbose=False)
    graph = onnx.load(path)
    _rename(graph, graph.graph.input[0].name, INPUT)
    _rename(graph, graph.graph.output[0].name, OUTPUT)
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def _rename(model: onnx.ModelProto, old: str, new: str) -> None:
    for value in (*model.graph.input, *model.graph.output):
        value.name = new if value.name == old else value.name
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
