"""One version of a model: a SavedModel where TensorFlow is installed, an ONNX copy of it otherwise."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from tensorflow.core.framework import types_pb2

from local.tf_serving.errors import invalid
from services.keras.serving.tensors import Array, number_of

SIGNATURE = "serving_default"
ONNX = "model.onnx"
SAVED_MODEL = "saved_model.pb"


class Model(Protocol):
    """Safe to share between threads."""

    @property
    def signatures(self) -> Mapping[str, Any]:
        """SignatureDefs by name, as GetModelMetadata tells them."""

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """The outputs by name. Raises Refused for inputs of another type or shape than the model takes."""


def load(folder: Path, threads: int) -> Model:
    """Loads a version's folder. Raises OSError where it holds nothing that can be run here. Blocks."""
    saved = (folder / SAVED_MODEL).exists()
    if saved and find_spec("tensorflow.python"):
        from local.tf_serving.models.saved_model import SavedModel  # noqa: PLC0415 - seconds of TensorFlow, where it is there

        return SavedModel(folder, threads)
    if (folder / ONNX).exists():
        from local.tf_serving.models.onnx import OnnxModel  # noqa: PLC0415 - likewise, of onnxruntime

        return OnnxModel(folder / ONNX, threads)
    missing = f"it needs TensorFlow, or a copy in {ONNX}" if saved else f"it has neither {SAVED_MODEL} nor {ONNX}"
    raise FileNotFoundError(f"{folder} cannot be served: {missing}")


def check_types(inputs: Mapping[str, Array], definition: Any) -> None:
    """Raises Refused for an input of another type than the SignatureDef's.

    The text is that of `FunctionCallFrame::SetArgs` in core/framework/function.cc in TensorFlow.
    """
    for position, (name, array) in enumerate(inputs.items()):
        wanted, given = definition.inputs[name].dtype, number_of(array.dtype)
        if wanted != given:
            raise invalid(f"Expects arg[{position}] to be {_name(wanted)} but {_name(given)} is provided")


def _name(number: int) -> str:
    return str(types_pb2.DataType.Name(number)).removeprefix("DT_").lower()
