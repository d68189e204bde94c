"""Tests of reading a model's signature from TensorFlow Serving's metadata."""

from typing import Any

import numpy as np
import pytest
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import get_model_metadata_pb2

from services.keras.serving.signature import read_signature
from services.runtime.errors import Misconfigured

Shape = tuple[int, ...] | None


def _info(dtype: int, shape: Shape) -> Any:
    info = meta_graph_pb2.TensorInfo(name="x:0", dtype=dtype)
    info.tensor_shape.unknown_rank = shape is None
    for size in shape or ():
        info.tensor_shape.dim.add(size=size)
    return info


def _answer(inputs: dict[str, Any], outputs: dict[str, Any], name: str = "serving_default") -> Any:
    signature = meta_graph_pb2.SignatureDef(inputs=inputs, outputs=outputs)
    answer = get_model_metadata_pb2.GetModelMetadataResponse()
    answer.model_spec.version.value = 7
    answer.metadata["signature_def"].Pack(get_model_metadata_pb2.SignatureDefMap(signature_def={name: signature}))
    return answer


_SCORES = {"scores": _info(types_pb2.DT_FLOAT, (-1, 2))}


@pytest.mark.parametrize(
    ("dtype", "shape", "expected_dtype", "size"),
    [
        (types_pb2.DT_UINT8, (-1, 224, 224, 3), np.uint8, (224, 224)),
        (types_pb2.DT_FLOAT, (-1, 128, 96, 3), np.float32, (128, 96)),
        (types_pb2.DT_FLOAT, (1, -1, -1, 3), np.float32, (224, 224)),
        (types_pb2.DT_UINT8, None, np.uint8, (224, 224)),
    ],
)
def test_usable_model(dtype: int, shape: Shape, expected_dtype: type, size: tuple[int, int]) -> None:
    """Names, type and size come from the model, and an open size becomes 224x224."""
    signature = read_signature(_answer({"input_1": _info(dtype, shape)}, _SCORES))
    assert (signature.input, signature.output, signature.version) == ("input_1", "scores", "7")
    assert (signature.dtype, signature.size, signature.classes) == (np.dtype(expected_dtype), size, 2)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (_answer({"i": _info(types_pb2.DT_UINT8, (-1, 9, 9, 3))}, _SCORES, name="train"), "serving_default.*train"),
        (_answer({}, _SCORES), "0 inputs"),
        (_answer({"i": _info(types_pb2.DT_UINT8, (-1, 9, 9, 3))}, {}), "0 outputs"),
        (_answer({"i": _info(types_pb2.DT_STRING, (-1,))}, _SCORES), "DT_STRING"),
        (_answer({"i": _info(types_pb2.DT_INT32, (-1, 9, 9, 3))}, _SCORES), "int32"),
        (_answer({"i": _info(types_pb2.DT_UINT8, (-1, 3, 9, 9))}, _SCORES), r"\[-1, 3, 9, 9\]"),
        (_answer({"i": _info(types_pb2.DT_UINT8, (-1, 27))}, _SCORES), r"\[-1, 27\]"),
        (_answer({"i": _info(types_pb2.DT_UINT8, (-1, 9, 9, 4))}, _SCORES), r"\[-1, 9, 9, 4\].* 1\] for grey"),
    ],
)
def test_unusable_model(answer: Any, text: str) -> None:
    """A model that does not take a single picture tensor is refused with the reason."""
    with pytest.raises(Misconfigured, match=text):
        read_signature(answer)


@pytest.mark.parametrize(("shape", "classes"), [((-1, 5), 5), ((-1, 1), 1), ((-1,), 1), ((-1, -1), None)])
def test_scores_per_picture(shape: tuple[int, ...], classes: int | None) -> None:
    """A model may give one score per picture, with or without its own dimension, or several."""
    scores = {"scores": _info(types_pb2.DT_FLOAT, shape)}
    assert read_signature(_answer({"i": _info(types_pb2.DT_UINT8, (-1, 9, 9, 3))}, scores)).classes == classes


@pytest.mark.parametrize(("shape", "several"), [((-1, 9, 9, 3), True), ((1, 9, 9, 3), False), (None, True)])
def test_pictures_per_call(shape: Shape, several: bool) -> None:  # noqa: FBT001 - a test's parameter
    """The input's shape says whether a call may have several pictures."""
    assert read_signature(_answer({"i": _info(types_pb2.DT_UINT8, shape)}, _SCORES)).takes_several is several


@pytest.mark.parametrize(
    ("shape", "channels"), [((-1, 9, 9, 1), 1), ((-1, 9, 9, 3), 3), ((-1, 9, 9, -1), 3), (None, 3)]
)
def test_channels(shape: Shape, channels: int) -> None:
    """The input's last dimension says whether the model takes grey or colour pictures; if it is open, colour."""
    assert read_signature(_answer({"i": _info(types_pb2.DT_UINT8, shape)}, _SCORES)).channels == channels
