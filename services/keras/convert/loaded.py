"""A loaded model, whoever saved it: one batch of pictures in, scores out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from services.keras.convert.model_file import ModelProblem
from services.keras.preprocess import SIZE

SIGNATURE = "serving_default"
"""The name under which TensorFlow Serving is asked."""
_RANK = 4
_CHANNELS = 3
T = TypeVar("T")


@dataclass(frozen=True)
class LoadedModel:
    """What conversion needs of a model."""

    call: Callable[[Any], Any]
    """Tensor [N, height, width, 3] of `dtype` → tensor [N, classes]; TensorFlow can trace it."""
    predict: Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]]
    """The same on arrays as whoever saved it computes it: what a conversion is measured against."""
    owner: Any
    """What holds the weights."""
    size: tuple[int, int]
    """Height and width; 224x224 where the model takes any."""
    dtype: str
    """float32 or uint8."""
    classes: int


def only(several: Sequence[T], what: str) -> T:
    """The one input or output. Raises ModelProblem where there are more."""
    if len(several) != 1:
        raise ModelProblem(f"The model has {len(several)} {what}s; a model that can be served has one.")
    return several[0]


def size_of(shape: Sequence[int | None]) -> tuple[int, int]:
    """Height and width of an input [N, height, width, 3]. Raises ModelProblem."""
    if len(shape) != _RANK or shape[3] not in {_CHANNELS, None} or shape[0] is not None:
        raise ModelProblem(f"The model's input has the shape {list(shape)}; it must be [None, height, width, 3].")
    return shape[1] or SIZE[0], shape[2] or SIZE[1]


def dtype_of(name: str) -> str:
    """The input's type. Raises ModelProblem."""
    if name not in {"float32", "uint8"}:
        raise ModelProblem(f"The model's input is {name}; it must be float32 or uint8.")
    return name


def classes_of(shape: Sequence[int | None]) -> int:
    """How many scores an output [N, classes] has. Raises ModelProblem."""
    if len(shape) != 2 or not shape[1]:  # noqa: PLR2004 - N, classes
        raise ModelProblem(f"The model's output has the shape {list(shape)}; it must be [None, classes].")
    return shape[1]
