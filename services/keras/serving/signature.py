"""The signature of a served model, read from its metadata in TensorFlow Serving. Pure."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from tensorflow_serving.apis import get_model_metadata_pb2

from services.keras.preprocess import SIZE
from services.keras.serving import tensors
from services.runtime.errors import Misconfigured

NAME = "serving_default"
COLOURS = 3
_CHANNELS = {1: 1, COLOURS: COLOURS, -1: COLOURS}
"""Channels of the pictures by the input's last dimension."""


@dataclass(frozen=True)
class Signature:
    """The signature `serving_default` of a model with one picture tensor in and one score tensor out."""

    version: str
    """Version that it was read from."""
    input: str
    dtype: np.dtype[Any]
    """uint8, or float32 for older exports; values are 0 to 255 in both."""
    size: tuple[int, int]
    """Height and width; 224x224 if the model takes any."""
    channels: int
    """1 for grey pictures, 3 for RGB."""
    takes_several: bool
    """Whether one call may have several pictures."""
    output: str
    classes: int | None
    """Number of scores; None if the model does not say."""


def read_signature(response: Any) -> Signature:
    """Return the signature in a GetModelMetadataResponse. Raises Misconfigured if it is unusable."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    if NAME not in signatures.signature_def:
        raise Misconfigured(f"The model has no signature {NAME!r}; it has: {', '.join(signatures.signature_def)}.")
    signature = signatures.signature_def[NAME]
    input_name, input_info = _only(signature.inputs, "input")
    output_name, output_info = _only(signature.outputs, "output")
    return Signature(
        version=str(response.model_spec.version.value),
        input=input_name,
        dtype=_dtype(input_info),
        size=_size(input_info),
        channels=_channels(input_info),
        takes_several=_takes_several(input_info),
        output=output_name,
        classes=_classes(output_info),
    )


def _only(tensor_infos: Any, what: str) -> tuple[str, Any]:
    if len(tensor_infos) != 1:
        raise Misconfigured(f"The model has {len(tensor_infos)} {what}s ({', '.join(tensor_infos)}); it must have one.")
    [(name, info)] = tensor_infos.items()
    return name, info


def _dtype(info: Any) -> np.dtype[Any]:
    try:
        dtype = tensors.dtype_of(info.dtype)
    except tensors.TensorError as exc:
        raise Misconfigured(f"The model's input: {exc} It must be uint8 or float32.") from exc
    if dtype not in {np.dtype(np.uint8), np.dtype(np.float32)}:
        raise Misconfigured(f"The model's input is {dtype}; it must be uint8 or float32.")
    return dtype


def _size(info: Any) -> tuple[int, int]:
    if info.tensor_shape.unknown_rank:
        return SIZE
    shape = _shape(info)
    if len(shape) != 4 or shape[0] not in {1, -1}:  # noqa: PLR2004 - N, height, width, channels
        raise _misshapen(shape)
    height, width = (size if size > 0 else default for size, default in zip(shape[1:3], SIZE, strict=True))
    return height, width


def _channels(info: Any) -> int:
    if info.tensor_shape.unknown_rank:
        return COLOURS
    shape = _shape(info)
    if shape[-1] not in _CHANNELS:
        raise _misshapen(shape)
    return _CHANNELS[shape[-1]]


def _misshapen(shape: list[int]) -> Misconfigured:
    return Misconfigured(
        f"The model's input has the shape {shape}; it must be [N, height, width, 3] for colour pictures or "
        "[N, height, width, 1] for grey ones."
    )


def _shape(info: Any) -> list[int]:
    return [dimension.size for dimension in info.tensor_shape.dim]


def _takes_several(info: Any) -> bool:
    return bool(info.tensor_shape.unknown_rank or info.tensor_shape.dim[0].size != 1)


def _classes(info: Any) -> int | None:
    shape = _shape(info)
    if len(shape) == 1:
        return 1  # [N]: one score per picture
    return shape[-1] if shape and shape[-1] > 0 else None
