"""What turns the last layer's values into scores, and what the scores say about each other. Needs TensorFlow."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from services.keras.assets import Activation
from services.keras.convert.load import LoadedModel
from services.keras.convert.model_file import ModelProblem

Scores = npt.NDArray[np.float32]
_OWN: dict[str, Activation] = {"Softmax": "softmax", "Sigmoid": "sigmoid"}
_LINEAR = {"Add", "AddV2", "BiasAdd", "Conv2D", "MatMul"}
_FORWARDING = {"Cast", "EnsureShape", "ExpandDims", "Identity", "IdentityN", "Reshape", "Squeeze", "StopGradient"}
_SUM_TOLERANCE = 1e-3


def activate(model: LoadedModel, values: Scores, asked: Activation | None) -> tuple[LoadedModel, Activation]:
    """Return the model with scores from 0 to 1, and whether they belong to one label of several or to each by itself.

    `values` are the model's own for some pictures, [N, classes]. If they are logits, `asked` is added to the model.
    Raises ModelProblem if it is missing, or contradicts the model's own activation.
    """
    last = _last_operation(model)
    own = _OWN.get(last)
    if own is None and not _are_scores(values, last):
        chosen = _chosen(values, asked)
        return _with(model, chosen), chosen
    if own and asked and own != asked:
        raise ModelProblem(f"The model ends with {own}: leave out --activation {asked}.")
    meaning = own or asked or _meaning(values)
    _check_count(meaning, model.classes)
    return model, meaning


def _are_scores(values: Scores, last: str) -> bool:
    """Return whether values are within 0 to 1, and not by chance, as a sum's may be."""
    return bool(values.min() >= 0 and values.max() <= 1) and (last not in _LINEAR or _meaning(values) == "softmax")


def _chosen(values: Scores, asked: Activation | None) -> Activation:
    if asked is None:
        raise ModelProblem(
            f"The model's scores range from {values.min():.3g} to {values.max():.3g} for some pictures, and nothing "
            "bounds them; they must be 0 to 1. End the model with softmax or sigmoid. If it gives logits, say which "
            "belongs to them: --activation softmax (one label of several) or --activation sigmoid (each label by "
            "itself)."
        )
    _check_count(asked, values.shape[1])
    return asked


def _check_count(activation: Activation, classes: int) -> None:
    if activation == "softmax" and classes == 1:
        raise ModelProblem("A softmax over one score is always 1: a single score needs a sigmoid.")


def _meaning(scores: Scores) -> Activation:
    """Return what scores are that come from an operation of another kind: those of a softmax add up to 1."""
    adds_up = np.abs(scores.sum(axis=1) - 1).max() < _SUM_TOLERANCE
    return "softmax" if adds_up and scores.shape[1] > 1 else "sigmoid"


def _with(model: LoadedModel, activation: Activation) -> LoadedModel:
    in_graph, in_numpy = _FUNCTIONS[activation]
    return replace(
        model,
        call=lambda batch: in_graph(tf.cast(model.call(batch), tf.float32)),
        predict=lambda batch: in_numpy(model.predict(batch)),
    )


def _softmax(logits: Scores) -> Scores:
    powers = np.exp((logits - logits.max(axis=1, keepdims=True)).astype(np.float64))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def _sigmoid(logits: Scores) -> Scores:
    return np.asarray((1 + np.tanh(logits.astype(np.float64) / 2)) / 2, np.float32)


_FUNCTIONS: dict[Activation, tuple[Callable[[Any], Any], Callable[[Scores], Scores]]] = {
    "softmax": (tf.nn.softmax, _softmax),
    "sigmoid": (tf.nn.sigmoid, _sigmoid),
}


def _last_operation(model: LoadedModel) -> str:
    """Return the kind of the operation that computes the model's output; empty if a loop or the like does."""
    pictures = tf.TensorSpec((None, *model.size, model.channels), tf.as_dtype(model.dtype))
    function = tf.function(model.call, input_signature=[pictures], autograph=False).get_concrete_function()
    graph = function.graph.as_graph_def()
    functions = {inner.signature.name: inner for inner in graph.library.function}
    nodes, tensor = {node.name: node for node in graph.node}, function.outputs[0].name
    while (node := nodes.get(tensor.partition(":")[0])) is not None:
        if (called := functions.get(node.attr["f"].func.name)) is not None:
            nodes = {inner.name: inner for inner in called.node_def}
            tensor = called.ret[called.signature.output_arg[_index(tensor)].name]
        elif node.op in _FORWARDING:
            tensor = node.input[_index(tensor) if node.op == "IdentityN" else 0]
        else:
            return str(node.op)
    return ""


def _index(tensor: str) -> int:
    """Return the number of a node's output in a tensor's name: NODE, NODE:NUMBER or NODE:NAME:NUMBER."""
    return int(tensor.rpartition(":")[2]) if ":" in tensor else 0
