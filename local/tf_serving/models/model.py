"""What every model of the stand-in has in common, whatever runs it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tensorflow.core.framework import types_pb2

from local.tf_serving.errors import invalid
from local.tf_serving.tensors import number_of
from services.keras.serving.tensors import Array

SIGNATURE = "serving_default"


class Model(Protocol):
    """One version of a model. Safe to share between threads."""

    @property
    def signatures(self) -> Mapping[str, Any]:
        """SignatureDefs by name, as GetModelMetadata returns them."""

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Return the outputs of those names. Raises Refusal for inputs of a wrong type or shape."""


def check_types(inputs: Mapping[str, Array], definition: Any) -> None:
    """Raise Refusal if an input's type is not the SignatureDef's.

    The text is that of `FunctionCallFrame::SetArgs` in core/framework/function.cc in TensorFlow.
    """
    for position, (name, array) in enumerate(inputs.items()):
        expected, actual = definition.inputs[name].dtype, number_of(array.dtype)
        if expected != actual:
            raise invalid(f"Expects arg[{position}] to be {_name(expected)} but {_name(actual)} is provided")


def _name(number: int) -> str:
    return str(types_pb2.DataType.Name(number)).removeprefix("DT_").lower()
